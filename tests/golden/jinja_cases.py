# SPDX-License-Identifier: MIT
"""Small templates that touch every filter, test, method, operator and statement of jinja2. make_jinja.py runs them.

{{ }} is put around what has no brace; the variables are VARIABLES, and `m` is a message list.
"""
import itertools

VARIABLES = {
    "name": "World", "empty": "", "n": 42, "neg": -7, "f": 2.5, "yes": True, "no": False, "nothing": None,
    "words": "The quick brown fox\njumps  over\tthe lazy dog", "uni": "Zürich Straße ǆ İstanbul ΑΣΣ fiﬀ ΟΔΥΣΣΕΥΣ.",
    "wide": "中文 e\u0301 👩‍💻 \u00a0x\u2028y\u200b", "html": "<a href='x'>T&amp;\"q\"</a> <!-- c --> b",
    "quote": "it's \"q\" \\ \x00\x07\x7f\u00ad\ue000 é",
    "nums": [3, 1, 2, 10, -1], "mixed": [1, "a", None, 2.5, True, [1, 2], {"k": "v"}],
    "strs": ["b", "A", "c", "B", "a"], "nested": [[1, 2], [3, [4]]], "nil": [],
    "d": {"b": 1, "a": {"x": [1, 2]}, "C": "z", "items": "shadow", "": 0},
    "users": [{"name": "Bob", "age": 30, "tags": ["x"]}, {"name": "alice", "age": 25, "tags": []},
              {"name": "Carol", "age": 30, "tags": ["y", "z"]}, {"name": "bob", "age": None}],
    "call": {"name": "f", "arguments": {"city": "Zürich", "n": [1.0, 1e100, 1e-7, -0.0], "deep": {"a": {"b": {}}}}},
    "floats": [0.1, 1.0, 1e15, 1e16, 1e17, 123456789012345680.0, 1e-4, 1e-5, 5e-324, 1.7976931348623157e308, -2.675],
    "lines": "a\nb\r\nc\rd\x0be\x0cf\x1cg\x85h\u2028i\n", "spaces": " \t x y \n",
}

VALUES = ["name", "empty", "n", "neg", "f", "yes", "nothing", "words", "uni", "wide", "html", "quote", "nums", "mixed",
          "strs", "nil", "d", "users", "missing", "'x'", "(1,'a')", "range(4)", "d.items()", "d.keys()", "spaces",
          "lines", "-2.675", "{1:2,'a':none}", "'<b>'|safe", "namespace(a=1)", "1e300"]

FILTERS = """abs capitalize center center(9) count default default('D') default('D',true) d('x',boolean=true) dictsort
dictsort(true) dictsort(by='value') dictsort(reverse=true) e escape filesizeformat filesizeformat(true) first float
float(1.5) forceescape format indent indent(2) indent('>>',true) indent(3,blank=true) int int(7) int(0,16)
int(base=2) items items|list join join(', ') join('-',attribute='name') last length list list|length lower map('upper')|list
map(attribute='name')|list map(attribute='name.0',default='?')|join(',') map('default','q')|list map|list max min
max(attribute='age') min(case_sensitive=true) pprint reject|list reject('odd')|list select|list select('string')|list
selectattr('age')|list selectattr('age','eq',30)|list rejectattr('age','none')|list replace('o','0') replace('','-')
replace('o','0',1) replace(1,2) reverse|list reverse|string round round(1) round(-1) round(1,'ceil') round(2,'floor')
round(method='floor') safe slice(3)|list slice(2,'F')|list batch(2)|list batch(3,'F')|list sort sort(reverse=true)
sort(attribute='name') sort(attribute='age,name') sort(case_sensitive=true) string striptags sum sum(start=5)
sum(attribute='age') title tojson tojson(indent=2) tojson(ensure_ascii=true) tojson(separators=(',',':'))
tojson(sort_keys=true) tojson(indent='\t') tojson(indent=0) trim trim('Wd') trim(' \n') truncate(9) truncate(9,true)
truncate(5,true,'') truncate(12,false,'..',0) unique|list unique(case_sensitive=true)|list unique(attribute='age')|list
upper urlencode wordcount wordwrap(8) wordwrap(5,false) wordwrap(10,wrapstring='|') xmlattr groupby('age')
groupby('name')|list groupby('age',default=0) groupby(0) attr('name') attr('upper') nosuch""".split()

TESTS = """defined undefined none boolean true false integer float number string mapping sequence iterable callable
sameas(none) escaped lower upper odd even divisibleby(2) in([1,'x','World']) in('World') eq(42) ne(42) lt(3) gt(1)
ge('a') equalto('x') filter test nosuch""".split()

METHODS = """upper() lower() title() capitalize() swapcase() casefold() strip() lstrip() rstrip() strip('Wd') split()
split(' ') split('o',1) split(maxsplit=1) rsplit(' ',1) rsplit(none,1) rsplit() splitlines() splitlines(true) join(strs)
join('abc') join([1]) find('o') rfind('o') find('o',-3) find('') index('o') index('zz') rindex('r') count('o') count('')
startswith('W') startswith(('a','W')) endswith('d',0,3) endswith('') replace('o','0') replace('','-',3) center(11,'*')
center(4) ljust(8,'.') rjust(8) zfill(9) zfill(3) expandtabs() expandtabs(3) partition('o') rpartition('o') partition('zz')
rpartition('zz') removeprefix('Wo') removesuffix('ld') isalpha() isalnum() isdigit() isdecimal() isnumeric() isspace()
islower() isupper() istitle() isascii() isprintable() isidentifier() format(1) format_map(d) nosuch() __class__ _x
items() keys() values() get('b') get('zz') get('zz',5) copy() append(1) pop() update({}) index(1) count(1) sort() clear()
name age 0 -1""".split()

SLICES = """0 -1 99 1: :2 -2: :-1 ::2 ::-1 1:-1 -3:-1 5:1 ::-2 10:0:-3 none:2 :none:1 ::0 'a': 'name' 1.0 true missing""".split()

OPERANDS = ["1", "0", "-3", "3.0", "2.5", "'a'", "'3'", "[1]", "(1,)", "{'a':1}", "none", "true", "missing", "''", "range(2)",
            "'<'|safe", "7", "1e3"]
OPERATORS = ["+", "-", "*", "/", "//", "%", "**", "==", "!=", "<", ">=", "in", "not in", "~", "and", "or", "is sameas"]

EXPRESSIONS = r"""
1 < 2 < 3
1 < 2 > 3
1 == 1.0 == true
1 in [1] in [[1]]
not 1 == 2
not not 0
-1 ** 2
2 ** -1
2 ** 3 ** 2
-7 // 2
-7 % 3
7 % -3
-7.5 // 2
-7.5 % 2
7.5 % -2
0.1 + 0.2
1 / 3
10 / 5
1e16
1e15
123456789.123
100000000000000000000.0
1.5e-7
0x1F + 0b11 + 0o17
1_000_000
1_0.5e1_0
1.0
5 // 0
5 % 0
5 / 0.0
'a' 'b' "c"
'a' ~ 1 ~ none ~ true ~ 2.50 ~ [1,'x']
'tab\tnl\nq\'\x41\u00e9\N{BULLET}\q\é'
'\101\60'
[1, 2,]
(1,)
()
(1, 2)
{}
{'a': 1, 'b': [1, {'c': none}]}
{1: 'a', 1.0: 'b', true: 'c'}
{[1]: 2}
'x' if yes
'x' if no
('x' if no) is defined
'x' if no else 'y' if no else 'z'
1 if 2 if 3 else 4 else 5
name.upper().lower().title()
name['upper']()
d.items
d['items']
d.items()|list
d['a'].x[1]
d.a['x'].0
d.nosuch
d.nosuch.deeper
d.get('nosuch').x
missing.x
missing['x']
missing()
missing|length
missing|list
missing|upper
missing|join(',')
missing|default(name)
missing == missing2
missing is sequence
missing is iterable
missing in [missing2]
missing + 1
'a' + missing
missing ~ 'x'
''.__class__
''.__class__.__mro__
name.__class__ is defined
[].append(1)
nums.append
nums.append is defined
nums.pop()
d.update({'z':1})
d.pop
name.nosuch
name.nosuch is undefined
name.format
'{} {}'.format(1, 'a')
'{1} {0} {1!r}'.format('x', "y'")
'{a.b} {d[0]}'.format(a={'b': 5}, d=[7])
'{:>8}|{:<8}|{:^8}|{:*^9}'.format('a', 'b', 'c', 'd')
'{:05d} {:+d} {: d} {:x} {:#X} {:b} {:#o} {:,} {:_}'.format(42, 42, 42, 255, 255, 5, 8, 1234567, 1234567)
'{:.2f} {:8.3f} {:e} {:g} {:%} {:.0f}'.format(3.14159, 2.5, 12345.678, 0.0001, 0.256, 2.5)
'{:.3} {:.3s} {:10.2}'.format(3.14159, 'abcdef', 'xyz')
'{:08,} {:08.2f} {:<08}|'.format(1234, -3.14159, 'ab')
'{!r:>10}|{!s:5}|'.format('a', 1)
'{:{}}|{:{w}.{p}f}'.format('a', 5, 3.14159, w=8, p=2)
'{{}} {}'.format(1)
'{'.format(1)
'}'.format(1)
'{0}{}'.format(1, 2)
'{x}'.format()
'{}'.format()
'{.__class__}'.format('')
'{:d}'.format('a')
'{:s}'.format(1)
'{:5}|{:5}|{:5}'.format(true, none|string, 1.5)
'{:>5}'.format(none)
'{:c}{:n}'.format(65, 1234)
'{a}'.format_map({'a': 1})
'%s %r %d %i %5d|%-5d|%05d %+d % d %x %X %o %#x %c %c%%' % (1, "a'", 3.7, true, 42, 42, 42, 42, 42, 255, 255, 8, 255, 65, 'z')
'%.3f %10.2f %-10.2f| %e %E %g %G %.10g' % (3.14159, 2.5, 2.5, 12345.678, 0.00001, 1e20, 1e-10, 0.1)
'%s' % 'a'
'%s' % [1, 2]
'%s %s' % (1,)
'%s' % (1, 2)
'%(a)s %(b)05.1f' % {'a': 'x', 'b': 2}
'%(a)s' % 5
'%d' % 'a'
'%s' % missing
'a' % 1
'a' % {}
'%' % 1
'%y' % 1
'%*d|%-*d|%.*f' % (5, 1, 5, 2, 2, 3.14159)
'%5s|%-5s|%.2s|%5.1s' % ('abc', 'abc', 'abc', 'abc')
"%s, %s!"|format('a', 'b')
"%(x)s"|format(x=1)
"%(x)s"|format(1, x=1)
'<a>'|safe + '<b>'
'<b>' + ('<a>'|safe)
('<a>'|safe) ~ '<b>'
('<a %s>'|safe) % '<b>'
('<a>'|safe) * 2
('<a>'|safe).upper() + '<'
('<'|safe).join(['<', '>'|safe])
('x<y'|safe).replace('x', '<')
('{}'|safe).format('<')
['<a>'|safe]
('<a>'|safe)|e
'<a>'|e|e
'<a>'|forceescape|forceescape
'<a>'|e is escaped
'a<b'|e|length
('a b'|safe).split()
{'a': '<'|safe}|tojson
range(5)
range(2, 8, 3)
range(5, 0, -2)|list
range(3)[1:]
range(10)[::-2]
range(3)|sum
range(100000)|length
range(100001)
range(0)
range('a')
range(3)|last
3 in range(5)
'3' in range(5)
dict(a=1, b=2)
dict([('a', 1), ('b', 2)])
dict({'a': 1}, b=3)
dict.fromkeys(['a', 'b'], 0)
namespace(a=1)
namespace({'a': 1}, b=2).b
namespace(a=1).nosuch
namespace(a=1)['a']
cycler(1, 2)
raise_exception('no')
strftime_now('%Y-%m-%d %H:%M:%S %j %a %A %b %B %p %I %y %U %w %% %-d %e|%f|%z|%Z|')
strftime_now(5)
strftime_now('')
users|map(attribute='name')|map('upper')|join(', ')
users|map(attribute='nosuch')|list
users|map(attribute='tags.0')|list
users|map('attr', 'name')|list
users|selectattr('age')|map(attribute='name')|list
users|selectattr('name', 'equalto', 'Bob')|first
users|rejectattr('tags')|list|length
users|selectattr('age', '>', 26)|list
users|selectattr('age', 'nosuch')
users|selectattr('age', 'nosuch')|list
users|groupby('age')
users|selectattr('age')|groupby('age')
(users|selectattr('age')|groupby('age'))[0].grouper
(users|selectattr('age')|groupby('age'))[0].list|length
users|sort(attribute='name')|map(attribute='name')|list
users|sort(attribute='nosuch')
nums|map('nosuch')|list
nums|map()
nums|map()|list
nums|map('round', 1)|list
nums|select('in', [1, 2])|list
nums|select('divisibleby', 2)|list
nums|select('==', 3)|list
[1, 2]|map('nosuch', x=1)
[]|first
[]|last
[]|first is defined
[]|max
[]|sum
nums|map('string')|last
nums|map('string')|length
nums|reverse
nums|reverse|first
nums|sort|reverse|list
'abc'|reverse
'abc'|list
'abc'|first
'abc'|last
(nums|map('abs')) is iterable
(nums|map('abs')) is sequence
nums|batch(0)|list
nums|slice(0)|list
nums|slice(-1)|list
floats
floats|join(' ')
floats|tojson
floats|map('round', 2)|list
floats|map('string')|map('float')|list == floats
0.5|round
1.5|round
2.5|round
-0.5|round
2.675|round(2)
1234.5678|round(-2)
1250|round(-2)
1350|round(-2)
25|round(-1)
12|round(1)
1e308|round(-308)
5.5|round(-1)
15|round(-1,'ceil')
1.25|round(1,'nosuch')
'42'|int
' 42 '|int
'42.9'|int
'-0x1f'|int(base=16)
'0b11'|int(0, 0)
'1_000'|int
'1__0'|int
'٣'|int
'abc'|int(5)
'inf'|int(5)
'1e3'|int
(1e400)|int
'nan'|float
'1e400'|float
'-inf'|float
'1_0.5'|float
' 2.5 '|float
'0x10'|float
none|int
[1]|int(3)
3.99|int
-3.99|int
true|int
missing|int
1.0|string
'x'|string is string
5|abs
-2.5|abs
'a'|abs
1000|filesizeformat
1|filesizeformat
999|filesizeformat
123456789|filesizeformat
123456789|filesizeformat(true)
'1500'|filesizeformat
1e30|filesizeformat
'a b/c?d=é&'|urlencode
{'a b': 'c/d', 'e': 1}|urlencode
[('a', 1), ('b', '&')]|urlencode
{'class': 'a b', 'id': none, 'x': '<'}|xmlattr
{'class': 1}|xmlattr(false)
{'a b': 1}|xmlattr
'foo bar baz qux'|truncate(9)
'foo bar baz qux'|truncate(9, true)
'foo bar baz qux'|truncate(11)
'foo bar baz qux'|truncate(11, false, '...', 0)
'foo bar baz qux'|truncate(2)
'a-b c--d e---f long-hyphenated-word'|wordwrap(6)
'a-b c--d e---f long-hyphenated-word'|wordwrap(6, break_on_hyphens=false)
'aaaa bbbb-cccc dddddddddddddddd'|wordwrap(7, false)
'x  y   z'|wordwrap(3)
'well-known e-mail --option -x a--b'|wordwrap(4)
'  lead and trail  '|wordwrap(7)
'one\n\ntwo three'|wordwrap(5)
'<p>a &lt; b&nbsp;c <b>d</b>  e</p>'|striptags
'a <!-- x > y --> b <br'|striptags
'hello wORLD (foo) [bar] x-y it\'s'|title
'hello wORLD (foo) x-y it\'s'.title()
'foo\nbar\n\nbaz\n'|indent
'foo\nbar\n\nbaz\n'|indent(2, true, true)
'foo'|indent
''|indent(first=true)
'a  b c_d é1 - x'|wordcount
'x'|center(10)|length
{'b': 1, 'a': 2}|dictsort
{'b': 1, 'A': 2, 'a': 0}|dictsort(false, 'value')
{'b': 1, 2: 2}|dictsort
{'a': 1}|items|list
[1]|items
[1]|items|list
none|items|list
none|list
none|length
5|length
5|list
5|first
5|join
{'a': 1}|first
{'a': 1}|last
{'a': 1}|join
['a', 'B', 'b']|unique|list
[1, 1.0, true, '1']|unique|list
[[1], [1]]|unique|list
['b', 'A', none]|sort
['b', 'A', 'a']|sort
['b', 'A', 'a']|sort(true, true)
[3, 1.5, true]|sort
[[2, 1], [1, 2]]|sort
[none, none]|sort
[1, none]|sort
[1, 'a']|max
['b', 'A']|max
['b', 'A']|min
[{'a': 1}, {'a': 2}]|sum(attribute='a')
[[1], [2]]|sum(start=[])
['a', 'b']|sum
['a']|sum(start='')
call|tojson
call|tojson(indent=4)
call|tojson(indent=2, ensure_ascii=true, sort_keys=true)
call|string
call|pprint
users|pprint
words|pprint
uni|tojson(ensure_ascii=true)
quote|tojson
quote|tojson(ensure_ascii=true)
quote|string|list|length
[quote]
wide|list
wide|length
wide[1:4]
wide[::-1]
wide|upper
uni|upper
uni|lower
uni|title
uni.title()
uni.capitalize()
uni.swapcase()
uni.casefold()
'ΑΣ'.lower()
'ΑΣ Σ'.lower()
'ß'.upper() ~ 'ﬁ'.title() ~ 'ŉ'.upper() ~ 'ǆ'.title()
nothing|tojson
true|tojson
missing|tojson
range(3)|tojson
nums|map('abs')|tojson
(1, 2)|tojson
{1: 2, none: 3, true: 4, 1.5: 5}|tojson
{(1, 2): 3}|tojson
{'a': []}|tojson(indent=2)
[[], {}, [[]]]|tojson(indent=1)
d.items()|tojson
'a' is in 'abc'
'a' is not in 'abc'
1 is not none
1 is odd and 2 is even
3 is divisibleby 3
name is string or name is number
none is none is true
1 is eq 1
[1] is sameas [1]
true is sameas true
1 is sameas true
'upper' is filter
'nosuch' is filter
'odd' is test
'==' is test
1 is nosuch
'ABC' is upper
'abc1' is lower
5 is upper
dict is callable
name.upper is callable
loop is defined
self is defined
varargs is defined
(1, 2, 3)[1:]
(1, 2) + (3,)
[1] + [2] + []
[1] + (2,)
[0] * 3
3 * 'ab'
'ab' * -1
[1] * 'a'
{} + {}
none + 1
'a' + 1
1 + 'a'
'a' < 'b'
'a' < 1
none < 1
[1, 2] < [1, 3]
[1, 'a'] < [1, 2]
(1,) == [1]
{'a': 1} == {'a': 1.0}
d.keys() == d.keys()
1 in 5
1 in none
1 in 'a1'
'a' in {'a': 1}
[1] in {}
missing in 'abc'
none in [none]
1.0 in [1]
'' in ''
true + true
-true
+'a'
-missing
not missing
9007199254740993 == 9007199254740992.0
1e308 * 10
1e308 * 10 - 1e308 * 10
2 ** 0.5
'z' > 'x'
'a' < 'c'
['a', 'c', 'e']|sort(reverse=true)
0 ** 0
0 ** -1
0.0 ** -1
10 // 3.0
1_000 * 1000
(1).bit_length()
2.0.is_integer()
x.y = 1
1 +
(1
[1
{1
'abc
1 2
a b
|upper
name|
name|upper(
name.
name[
1 if
not
in
[1:2]
{'a'}
a=1
f(a=1, 2)
f(a=1, a=2)
f(**{}, *[])
name[1:2, 3]
name[]
nums[0, 1]
name.upper(1)
name.split(sep='o')
name.split(foo=1)
name.replace('o')
name|upper(1)
name|default(default_value='x', boolean=false)
name|replace(old='o', new='0')
name|nosuch
1|nosuch if false
'a' if true else ('b'|nosuch)
missing|nosuch
*nums
name|map
!1
1 ! 2
$x
1 & 2
name ? 1
n.real ~ n.imag ~ n.numerator ~ n.denominator
yes.real ~ yes.imag ~ yes.denominator
f.real ~ f.imag
f.numerator is defined
n.nosuch is defined
range(2, 9, 3).start ~ range(2, 9, 3).stop ~ range(2, 9, 3).step
range(2).nosuch is defined
range(1, 9, 3) == range(1, 8, 3)
range(0) == range(5, 5)
range(3) == range(4)
range(1, 2) == range(1, 2, 7)
range(0, 4, 2) == range(0, 3, 1)
d.keys() == d.keys()
{'a': 1, 'b': 2}.keys() == {'b': 0, 'a': 0}.keys()
{'a': 1}.keys() == {'a': 1, 'b': 2}.keys()
{'a': 1}.keys() == {'b': 1}.keys()
{'a': 1}.items() == {'a': 1}.items()
{'a': 1}.items() == {'a': 2}.items()
{'a': 1}.values() == {'a': 1}.values()
{'a': 1} == {'a': 1}
{'a': 1} == {'a': 2}
{'a': 1} == {'b': 1}
{'a': 1} == {'a': 1, 'b': 2}
'a' in {'a': 1}.keys()
('a', 1) in {'a': 1}.items()
('a', 2) in {'a': 1}.items()
'a' in {'a': 1}.items()
1 in {'a': 1}.values()
4 in range(1, 9, 3)
5 in range(1, 9, 3)
9 in range(9, 1, -3)
1 in range(9, 1, -3)
'World'.startswith(('x', 'Wo'))
'World'.startswith(('x', 'y'))
'World'.endswith(('x', 'ld'))
'World'.startswith('W', 9)
'World'.startswith('', 9)
'World'.endswith('', 9)
'World'.count('')
'World'.count('', 9)
'World'.count('', 2)
'World'.removeprefix('Wo')
'World'.removeprefix('x')
'World'.removesuffix('ld')
'World'.removesuffix('x')
'World'.removesuffix(1)
'World'.replace('', '-')
'World'.replace('', '-', 2)
'é中'.replace('', '.')
d|tojson(separators=(', ', '='))
d|tojson(separators=[',', ':'])
d|tojson(indent=none)
nums|tojson(indent=-1)
users|groupby('age', default=0)|map(attribute='grouper')|list
users|groupby('age', default=0)|map(attribute='list')|map('length')|list
(1, 2).grouper is defined
'{:,}'.format(1234567)
'{:_}'.format(-1234567)
'{:012,}'.format(1234567)
'{:_x}'.format(1234567890)
'{:#x}|{:#b}|{:#o}|{:X}'.format(255, 5, 8, 255)
'{:c}|{:5c}|{:>5c}'.format(65, 66, 233)
'{:c}'.format(-1)
'{:.2d}'.format(3)
'{:,x}'.format(3)
'{:+}|{: }|{:-}'.format(1, 2, 3)
'{:*=+8}|{:=8}|{:08}'.format(5, -5, -5)
'{:.0}|{:.1}|{:.3}|{:.9}'.format(1.5, 123.456, 123456.0, 0.1)
'{:.2}|{:.3}|{:.4}'.format(1e-7, 1e20, 100.0)
'{:e}|{:.0e}|{:E}'.format(12345.678, 12345.678, 12345.678)
'{:g}|{:G}|{:.3g}|{:n}'.format(1e-7, 1e20, 1234.5, 12.5)
'{:%}|{:.1%}'.format(0.256, 0.256)
'{:f}|{:F}|{:e}|{:G}|{:.2}'.format(floats[9] * 10, floats[9] * -10, floats[9] * 0 / floats[9], floats[9] * 10 - floats[9] * 10, floats[9] * 10)
'{:+c}'.format(65)
'{:,c}'.format(65)
'{:#c}'.format(65)
'{:.1}|{:.1}|{:.1}|{:.2}|{:.2}'.format(1.0, 0.5, 9.96, 9.96, 99.6)
'{:<3c}|{:^3c}|{:03c}'.format(65, 66, 67)
'{:,.2f}|{:015,.2f}'.format(1234567.891, 1234567.891)
""".strip("\n").split("\n")

TEMPLATES = [
    "", "x", "x\n", "x\n\n", "\n", "a\r\nb\rc\n", "{{ 1 }}\n{{ 2 }}\n", "{{", "{%", "{#", "}}", "%}", "{ {1} }",
    "{{ '}}' }}", "{{ '{{' }}{{ \"%}\" }}", "{# c #}", "a {# c #} b", "a\n  {# c #}  \nb", "a {#- c -#} b", "a {#+ c +#} b",
    "{# {{ x }} {% if %} #}", "{#-#}x", "{# c #}\n\nx", "  {# c #}\nx", "{% raw %}{{ x }} {% y %}{% endraw %}",
    "a {%- raw -%} {{ x }} {%- endraw -%} b", "{% raw %}\n x\n{% endraw %}\ny", "{% raw %}", "{% endraw %}",
    "  {% raw %} a {% endraw %}  ", "{%+ raw +%}x{% endraw %}", "{% raw -%}\n\n x{% endraw +%}\ny",
    "  {% if yes %}\n  a\n  {% endif %}\n  b", "  {%+ if yes %}\n  a\n  {%+ endif %}\n  b",
    "  {%- if yes -%}\n  a\n  {%- endif -%}\n  b", "x  {% if yes %}  y  {% endif %}  z",
    "{% if yes +%}\n a{% endif +%}\n b", "  {{ 1 }}  \n  {{- 2 -}}  \n  3", "{{+ 1 }}", "{{ 1 +}}", "\t{% set a = 1 %}\t\n{{ a }}",
    " {% set a = 1 %} x", "{%if yes%}a{%endif%}", "{% if yes: %}a{% endif %}", "a\u00a0{%- if yes %}b{% endif %}",
    "{% if yes %}\n\n\na{% endif %}", "{{ 1 }}{% if yes %}\n{% endif %}2", "x\n   {%- if yes %} a{% endif %}",
    "{%- if yes %}a{% endif -%}   \n\n  ", "   {# a #}   {# b #}\nc", "a\n  {% if yes %}b{% endif %}  {% if yes %}c{% endif %}\n",
    # if
    "{% if no %}a{% elif nothing %}b{% elif n %}c{% else %}d{% endif %}", "{% if no %}a{% endif %}", "{% if %}a{% endif %}",
    "{% if yes %}a", "{% if yes %}a{% endfor %}", "{% if yes %}a{% else %}b{% elif yes %}c{% endif %}", "{% else %}",
    "{% if no, yes %}a{% endif %}", "{% if yes and not no or missing.x %}a{% endif %}", "{% endif %}", "{% nosuch %}",
    # for
    "{% for i in nums %}{{ i }},{% endfor %}", "{% for i in nil %}a{% else %}e{% endfor %}",
    "{% for i in nums %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}"
    "{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }};{% endfor %}",
    "{% for i in nums %}{{ loop.previtem }}<{{ i }}<{{ loop.nextitem }};{% endfor %}",
    "{% for i in nums %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }}{% endfor %}",
    "{% for i in nums %}{{ loop.cycle('a','b') }}{% endfor %}", "{% for i in nums %}{{ loop.cycle() }}{% endfor %}",
    "{% for i in [1,1,2,2,1] %}{{ loop.changed(i) }}{% endfor %}", "{% for i in [1,2] %}{{ loop.changed() }}{% endfor %}",
    "{% for i in nums if i > 1 %}{{ i }}{{ loop.index }}{{ loop.length }}{{ loop.last }};{% else %}none{% endfor %}",
    "{% for i in nums if i > 100 %}{{ i }}{% else %}none{% endfor %}",
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "{% for k in d %}{{ k }};{% endfor %}",
    "{% for k, v in d|dictsort %}{{ k }}={{ v }};{% endfor %}", "{% for a, b in nums %}{% endfor %}",
    "{% for a, b in [[1,2,3]] %}{% endfor %}", "{% for a, b in ['xy'] %}{{ a }}{{ b }}{% endfor %}",
    "{% for (a, b), c in [((1,2),3)] %}{{ a }}{{ b }}{{ c }}{% endfor %}", "{% for a, b in [[1,2],[3,4]] if a > 1 %}{{ a }}{{ loop.previtem }}{% endfor %}",
    "{% for i in missing %}a{% else %}e{% endfor %}", "{% for i in none %}a{% endfor %}", "{% for i in 5 %}a{% endfor %}",
    "{% for c in 'héy' %}{{ c }}.{% endfor %}", "{% for i in range(3) %}{{ i }}{% endfor %}", "{% for i in 1, 2, 3 %}{{ i }}{% endfor %}",
    "{% for i in nums %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}", "{% for i in nums %}{% if i == 2 %}{% continue %}{% endif %}{{ i }}{% endfor %}",
    "{% for i in [1] %}{% continue %}{% else %}E{% endfor %}", "{% for i in [1] %}{% break %}{% else %}E{% endfor %}",
    "{% for i in [1,2] %}{% continue %}{% else %}E{% endfor %}", "{% for i in [1,2] %}{% if i == 1 %}{% continue %}{% endif %}{{ i }}{% else %}E{% endfor %}",
    "{% break %}", "{% continue %}", "{% if yes %}{% break %}{% endif %}", "{% for i in [1] %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}",
    "{% for i in [1,2] %}{% for j in [] %}{% else %}{% break %}{% endfor %}{{ i }}{% endfor %}", "{% for i in nil %}{% else %}{% break %}{% endfor %}",
    "{% for i in [1,2,3] %}{% filter upper %}a{% if i == 2 %}{% continue %}{% endif %}b{% endfilter %}{% endfor %}",
    "{% for i in [1,2,3] %}{% set x %}a{% if i == 2 %}{% break %}{% endif %}{% endset %}{{ x }}{% endfor %}",
    "{% for i in [1,2] %}{% with a = i %}{% if a == 1 %}{% continue %}{% endif %}{{ a }}{% endwith %}{% endfor %}",
    "{% for i in [1,2] %}{% generation %}{{ i }}{% endgeneration %}{% endfor %}", "{% for i in [1,2] %}{% generation %}{% break %}{% endgeneration %}{% endfor %}",
    "{% for i in nested recursive %}{% if i is iterable %}[{{ loop(i) }}]{% else %}{{ i }}@{{ loop.depth }}{% endif %}{% endfor %}",
    "{% for i in nested %}{{ loop(i) }}{% endfor %}", "{% for i in nested recursive %}{{ loop.index }}{{ loop(i) if i is iterable }}{% else %}E{% endfor %}",
    "{% set x = 1 %}{% for i in [[1],[]] recursive %}{{ x }}{% set x = 2 %}{{ x }}{{ loop(i) if i is sequence }}{% else %}e{% endfor %}{{ x }}",
    "{% for i in [1,2] recursive if i > 1 %}{{ i }}{% endfor %}", "{% for i in [1,2] if i > 1 recursive %}{{ i }}{% endfor %}",
    "{% for loop in [1] %}{% endfor %}", "{% for i in [1] %}{% set loop = 1 %}{% endfor %}", "{% for i in [1] %}{{ loop }}{% endfor %}",
    "{% for i in nums %}{{ loop|length }}{% endfor %}", "{% for i in nums|map('string') %}{{ loop.length }}{{ loop.revindex }}{% endfor %}",
    "{% for i in nums|map('string') %}{{ loop.last }}{% endfor %}", "{% for i in [1,2] %}{% for j in [3,4] %}{{ loop.index }}{% endfor %}{{ loop.index }}{% endfor %}",
    "{% for i in [1,2] %}{% set outer = loop %}{% for j in [3,4] %}{{ outer.index }}{{ loop.index }};{% endfor %}{% endfor %}",
    "{% for i in [1] %}{{ i }}{% endfor %}{{ i }}", "{% set i = 9 %}{% for i in [1] %}{{ i }}{% endfor %}{{ i }}",
    "{% for i in [1,2] %}{{ x }}{% set x = i %}{{ x }}{% endfor %}{{ x }}", "{% set x = 0 %}{% for i in [1,2] %}{{ x }}{% set x = i %}{{ x }}{% endfor %}{{ x }}",
    "{% for i in [1,2] %}{% if i == 1 %}{% set n = 5 %}{% endif %}{{ n }};{% endfor %}{{ n }}",
    "{% for n in [1] %}{{ n }}{% endfor %}{{ n }}", "{% for i in [1,2] %}{% set name = name ~ i %}{{ name }}{% endfor %}{{ name }}",
    "{% for i in nums %}{% endfor %}x", "{% for %}{% endfor %}", "{% for i nums %}{% endfor %}", "{% for i in %}{% endfor %}", "{% for 1 in nums %}{% endfor %}",
    "{% for i in nums|sort %}{{ i }}{% endfor %}", "{% for i in nums[1:3] %}{{ i }}{% endfor %}", "{% for i in nums if not loop %}{{ i }}{% endfor %}",
    "{% for true in nums %}{% endfor %}", "{% for x.y in nums %}{% endfor %}", "{% for i in nums %}{{ loop.nosuch is defined }}{% endfor %}",
    # set, scopes
    "{% set a = 1 %}{{ a }}", "{% set a, b = 1, 2 %}{{ a }}{{ b }}", "{% set a = 1, 2 %}{{ a }}", "{% set (a, b) = (1, 2) %}{{ a }}{{ b }}",
    "{% set a, b = [1] %}", "{% set a = b = 1 %}", "{% set 1 = 2 %}", "{% set a.b = 1 %}", "{% set d.x = 1 %}", "{% set none = 1 %}",
    "{% set ns = namespace(x=1) %}{% for i in nums %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}{{ ns }}",
    "{% set ns = namespace() %}{% set ns.a, ns.b = 1, 2 %}{{ ns.a }}{{ ns.b }}", "{% set ns = namespace() %}{% set ns.a %}x{{ n }}{% endset %}{{ ns.a }}",
    "{% set a %}x{{ n }}{% endset %}{{ a }}{{ a|length }}", "{% set a | upper %}x{{ name }}{% endset %}{{ a }}", "{% set a | replace('x', name) | upper %}x{% endset %}{{ a }}",
    "{% set a %}{% set b = 1 %}{{ b }}{% endset %}{{ a }}{{ b }}", "{{ a }}{% set a = 1 %}{{ a }}", "{% if no %}{% set name = 1 %}{% endif %}{{ name }}",
    "{% if yes %}{% set name = 1 %}{% endif %}{{ name }}", "{% if no %}{% set zz = 1 %}{% endif %}{{ zz }}", "{% for i in [1] %}{{ name }}{% endfor %}{% set name = 2 %}{{ name }}",
    "{% macro m() %}{{ name }}{% endmacro %}{{ m() }}{% set name = 2 %}{{ m() }}", "{% macro m() %}{{ zz }}{% endmacro %}{{ m() }}{% set zz = 2 %}{{ m() }}",
    "{% set messages = messages %}{{ messages }}", "{% set name = name ~ '!' %}{{ name }}", "{% set x = x %}{{ x }}",
    "{% with %}{% set a = 1 %}{{ a }}{% endwith %}{{ a }}", "{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a }}", "{% set a = 5 %}{% with a = 1, b = a %}{{ a }}{{ b }}{% endwith %}{{ a }}",
    "{% with a, b = (1, 2) %}{{ a }}{{ b }}{% endwith %}", "{% with a %}{% endwith %}", "{% with name = 'x' %}{% set name = 'y' %}{{ name }}{% endwith %}{{ name }}",
    "{% set x = 1 %}{% with %}{{ x }}{% set x = 2 %}{{ x }}{% endwith %}{{ x }}", "{% filter upper %}a{{ name }}{% set q = 1 %}{% endfilter %}{{ q }}",
    "{% filter upper | replace('A', 'b') %}a{{ name }}{% endfilter %}", "{% filter nosuch %}{% endfilter %}", "{% filter indent(2) %}a\nb{% endfilter %}",
    "{% filter length %}abc{% endfilter %}", "{% generation %}{% set q = 1 %}a{{ q }}{% endgeneration %}{{ q }}", "{%- generation -%} x {%- endgeneration -%} y",
    "{% print 1, name %}", "{% print %}", "{% autoescape false %}{{ '<' }}{% endautoescape %}", "{% set _x = 1 %}{{ _x }}",
    # macros
    "{% macro m(a, b=2, c='x') %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }}|{{ m(1, c=5) }}|{{ m(b=1, a=0) }}|{{ m() }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(x=2) }}", "{% macro m(a, a) %}{% endmacro %}",
    "{% macro m(a=1, b) %}{% endmacro %}", "{% macro m(a) %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, x=4) }}", "{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}",
    "{% macro m() %}[{{ caller() }}]{% endmacro %}{% call m() %}x{{ name }}{% endcall %}", "{% macro m() %}[{{ caller(1, b=2) }}]{% endmacro %}{% call(a, b) m() %}{{ a }}{{ b }}{% endcall %}",
    "{% macro m() %}x{% endmacro %}{% call m() %}y{% endcall %}", "{% call m %}{% endcall %}", "{% call name.upper() %}x{% endcall %}", "{% macro m(caller) %}{{ caller }}{% endmacro %}{{ m(1) }}",
    "{% macro m(caller=none) %}{{ caller() if caller else 'none' }}{% endmacro %}{{ m() }}{% call m() %}c{% endcall %}", "{% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(3) }}",
    "{% macro m(n=n) %}{{ n }}{% endmacro %}{{ m() }}{{ m(1) }}", "{% macro f(x) %}{% if x > 0 %}{{ x }}{{ f(x - 1) }}{% endif %}{% endmacro %}{{ f(5) }}",
    "{% macro f(x) %}{{ g(x) }}{% endmacro %}{% macro g(x) %}<{{ x }}>{% endmacro %}{{ f(1) }}", "{{ m() }}{% macro m() %}x{% endmacro %}", "{% macro m() %}x{% endmacro %}{{ m }}{{ m.name }}{{ m.arguments }}{{ m.caller }}",
    "{% macro m() %}{% set x = 1 %}{% endmacro %}{{ m() }}{{ x }}", "{% set x = 1 %}{% macro m() %}{{ x }}{% set x = 2 %}{{ x }}{% endmacro %}{{ m() }}{{ x }}",
    "{% for i in [1,2] %}{% macro m() %}{{ i }}{{ loop is defined }}{% endmacro %}{{ m() }}{% endfor %}", "{% macro m(x) %}{% for i in x %}{{ i }}{% endfor %}{% endmacro %}{{ m([1,2]) }}",
    "{% macro outer() %}{% macro inner() %}i{{ name }}{% endmacro %}{{ inner() }}{% endmacro %}{{ outer() }}", "{% macro m(a, *b) %}{% endmacro %}", "{% macro %}{% endmacro %}",
    "{% macro m() %}a\n  b{% endmacro %}{{ m()|upper }}{{ m()|length }}", "{% macro m(x) %}{{ x }}{% endmacro %}{{ m(*[1]) }}{{ m(**{'x': 2}) }}", "{{ name.split(*['o']) }}{{ 'x'.join(*[['a','b']]) }}",
    "{% macro m(x) %}{{ x }}{% endmacro %}{{ nums|map('string')|join }}{{ m(x=m(x=1)) }}", "{% set f = name.upper %}{{ f() }}", "{% macro m(x=[]) %}{{ x }}{% endmacro %}{{ m() }}",
    "{% macro m() %}{% if yes %}{{ kwargs.a }}{% endif %}{% endmacro %}{{ m(a=1) }}", "{% macro m() -%}\n  x\n{%- endmacro %}[{{ m() }}]",
    "{% macro m(x) %}{{ x.y.z }}{% endmacro %}{{ m() }}", "{% macro m(x) %}{{ x is defined }}{% endmacro %}{{ m() }}{{ m(none) }}",
    "{% macro m() %}{{ caller.name }}{% endmacro %}{% call m() %}{% endcall %}", "{% macro m() %}{{ caller(caller=1) }}{% endmacro %}{% call m() %}x{% endcall %}",
    # blocks, others
    "{% block a %}x{{ name }}{% endblock %}", "{% block a %}x{% endblock a %}", "{% block a %}{% endblock %}{% block a %}{% endblock %}", "{% set q = 1 %}{% block a %}{{ q }}{% set q = 2 %}{{ q }}{% endblock %}{{ q }}",
    "{% for i in [1] %}{% block a %}{{ i }}{% endblock %}{% endfor %}", "{% block a %}x{% endblock %}{{ self.a() }}", "{{ self.b }}", "{{ self.b() }}", "{% macro m() %}M{% endmacro %}{% block a %}{{ m() }}{% endblock %}",
    "{% include 'x' %}", "{% import 'x' as y %}", "{% from 'x' import y %}", "{% extends 'x' %}", "{% if no %}{% include 'x' %}{% endif %}ok", "{% do nums.append(1) %}",
    "{% set c = cycler('a', 'b') %}{{ c.pos }}{{ c.items }}{{ c.next() }}{{ c.pos }}{{ c.nosuch is defined }}", "{{ joiner('; ').sep }}{% set j = joiner() %}{{ j.used }}{{ j() }}{{ j.used }}{{ j.sep }}{{ j.nosuch is defined }}",
    "{% macro m(a, b=1) %}{{ kwargs }}{{ varargs }}{% endmacro %}{{ m.name }}{{ m.arguments }}{{ m.catch_kwargs }}{{ m.catch_varargs }}{{ m.caller }}{{ m.nosuch is defined }}",
    "{% macro m() %}{{ caller() }}{% endmacro %}{{ m.arguments }}{{ m.catch_kwargs }}{{ m.catch_varargs }}{{ m.caller }}", "{% macro m() %}{{ caller.name }}{{ caller.arguments }}{% endmacro %}{% call(u) m() %}{{ u }}{% endcall %}",
    "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.reset() }}{{ c.current }}", "{% set j = joiner(', ') %}{{ j() }}{{ j() }}{{ j() }}", "{% set j = joiner() %}{{ j() }}a{{ j() }}b",
    "{% set g = nums|map('string') %}{{ g|join }}{{ g|join }}", "{% set g = nums|select('odd') %}{% for i in g %}{{ i }}{% endfor %}{{ g|list }}", "{% set g = nums|reverse %}{{ g|first }}{{ g|list }}",
    "{% set x = users|map('nosuch') %}ok", "{% set x = 5|batch(2) %}ok", "{% set x = missing|map('upper') %}{{ x|list }}", "{% if nums|map('upper') %}t{% endif %}", "{% if (nil|select)|list %}t{% else %}f{% endif %}",
    "{{ messages }}{{ tools }}{{ documents }}{{ add_generation_prompt }}{{ bos_token }}{{ eos_token }}", "{{ tools is none }}{{ documents is defined }}", "{% if tools %}a{% endif %}",
    "{% if no %}{{ 1|nosuch }}{% endif %}x", "{% if no %}{% for i in nums %}{{ 1|nosuch }}{% endfor %}{% endif %}x", "{{ 1|nosuch if no }}x", "{% for i in nil %}{{ 1|nosuch }}{% endfor %}x", "{% if no %}{{ 1 is nosuch }}{% endif %}x",
    "{% if yes %}{{ 1|nosuch }}{% endif %}", "{% macro m() %}{{ 1|nosuch }}{% endmacro %}x", "{% if 1|nosuch %}{% endif %}", "{% if no %}a{% elif no and 1|nosuch %}b{% endif %}x",
    "{% for m in messages %}{{ m.role }}: {{ m['content'] }}\n{% endfor %}", "{% for m in messages %}{{ m.items }}{% endfor %}", "{{ messages[0].role }}{{ messages[-1]['content']|trim }}",
    "{% set loop_messages = messages[1:] %}{{ loop_messages|length }}", "{{ messages|selectattr('role', 'equalto', 'user')|map(attribute='content')|list|last }}",
    "{%- set x -%}\n a \n{%- endset -%}\n[{{ x }}]", "{{ {'a': {'b': 1}}.a.b }}", "{{ [1,2,3][1] }}{{ 'abc'[1] }}{{ {'x': 5}['x'] }}", "{{ ((1)) }}", "{{ ( 1 , ) }}", "{{ 1,2 }}", "{{ }}", "{{ 1; 2 }}", "{% set %}", "{% %}", "{{ 1 }} }}",
]


def sources(every=1):
    """Every template once, in a fixed order; of the products one in `every`."""
    found = dict.fromkeys(TEMPLATES)
    expressions = [f"({v})|{f}" for v, f in itertools.product(VALUES, FILTERS)]
    expressions += [f"({v}) is {t}" for v, t in itertools.product(VALUES, TESTS)]
    expressions += [f"({v}).{m}" for v, m in itertools.product(VALUES[:14] + ["nums", "d", "(1,'a')"], METHODS)]
    expressions += [f"({v})[{s}]" for v, s in itertools.product(["name", "wide", "nums", "d", "nested", "range(6)",
                                                                 "missing", "n"], SLICES)]
    expressions += [f"({a}) {o} ({b})" for a, o, b in itertools.product(OPERANDS, OPERATORS, OPERANDS)]
    found.update(dict.fromkeys("{{ " + e + " }}" for e in EXPRESSIONS + expressions[::every]))
    return list(found)
