// SPDX-License-Identifier: MIT
// What encode_body.inc and those who include it share: 16 sub-blocks side by side.
#ifndef QL_TENSOR_ENCODE_LANES_H
#define QL_TENSOR_ENCODE_LANES_H

enum { LANES = 16 };

typedef struct lanes {
    _Alignas(64) float x[32][LANES]; // weight i of each sub-block, of which there are 16 or 32
} lanes;

#endif
