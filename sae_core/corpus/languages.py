"""Languages as people and corpora write them — codes, names in English, their own names — under one tag each."""

import re
from functools import cache

# tag: codes of three letters; names in English; own names. Languages that public speech corpora hold.
_TABLE = """
af: afr; afrikaans;
am: amh; amharic; አማርኛ
ar: ara arb; arabic, modern standard arabic; العربية
as: asm; assamese; অসমীয়া
ast: ; asturian; asturianu
az: aze azj; azerbaijani; azərbaycanca, azərbaycan
ba: bak; bashkir; башҡорт
be: bel; belarusian; беларуская
bg: bul; bulgarian; български
bn: ben; bengali, bangla; বাংলা
bo: bod tib; tibetan; བོད་ཡིག
br: bre; breton; brezhoneg
bs: bos; bosnian; bosanski
ca: cat; catalan, valencian; català
ceb: ; cebuano; sinugboanon
ckb: ; central kurdish, sorani; کوردی
cs: ces cze; czech; čeština, česky
cv: chv; chuvash; чӑваш
cy: cym wel; welsh; cymraeg
da: dan; danish; dansk
de: deu ger; german; deutsch
dv: div; dhivehi, divehi, maldivian; ދިވެހި
el: ell gre; greek, modern greek; ελληνικά
en: eng; english;
eo: epo; esperanto; esperanto
es: spa; spanish, castilian; español, castellano
et: est ekk; estonian; eesti
eu: eus baq; basque; euskara
fa: fas per pes; persian, farsi; فارسی
ff: ful fuc; fula, fulah; fulfulde
fi: fin; finnish; suomi
fo: fao; faroese; føroyskt
fr: fra fre; french; français
fy: fry; frisian, west frisian, western frisian; frysk
ga: gle; irish; gaeilge
gl: glg; galician; galego
gn: grn; guarani; avañe'ẽ
gu: guj; gujarati; ગુજરાતી
gv: glv; manx; gaelg
ha: hau; hausa; hausa
haw: ; hawaiian; ʻōlelo hawaiʻi
he: heb; hebrew; עברית
hi: hin; hindi; हिन्दी, हिंदी
hr: hrv; croatian; hrvatski
hsb: ; upper sorbian; hornjoserbšćina
ht: hat; haitian creole, haitian; kreyòl ayisyen
hu: hun; hungarian; magyar
hy: hye arm; armenian; հայերեն
ia: ina; interlingua; interlingua
id: ind; indonesian; bahasa indonesia
ig: ibo; igbo; igbo
is: isl ice; icelandic; íslenska
it: ita; italian; italiano
ja: jpn; japanese; 日本語
jv: jav; javanese; basa jawa
ka: kat geo; georgian; ქართული
kab: ; kabyle; taqbaylit
kam: ; kamba; kikamba
kea: ; kabuverdianu, cape verdean creole; kabuverdianu
kk: kaz; kazakh; қазақ тілі, қазақша
km: khm; khmer, cambodian; ភាសាខ្មែរ, ខ្មែរ
kn: kan; kannada; ಕನ್ನಡ
ko: kor; korean; 한국어
ku: kur kmr; kurdish, kurmanji; kurdî
ky: kir; kyrgyz, kirghiz; кыргызча
la: lat; latin; latina
lb: ltz; luxembourgish; lëtzebuergesch
lg: lug; luganda, ganda; luganda
ln: lin; lingala; lingála
lo: lao; lao, laothian; ລາວ
lt: lit; lithuanian; lietuvių
luo: ; luo; dholuo
lv: lav lvs; latvian; latviešu
mg: mlg plt; malagasy; malagasy
mi: mri mao; maori, māori; te reo māori
mk: mkd mac; macedonian; македонски
ml: mal; malayalam; മലയാളം
mn: mon khk; mongolian; монгол
mr: mar; marathi; मराठी
ms: msa may zsm; malay; bahasa melayu
mt: mlt; maltese; malti
my: mya bur; burmese, myanmar; မြန်မာ
nb: nob; norwegian bokmål, bokmål, bokmal; norsk bokmål
ne: nep npi; nepali; नेपाली
nl: nld dut; dutch, flemish; nederlands
nn: nno; norwegian nynorsk, nynorsk; norsk nynorsk
no: nor; norwegian; norsk
nso: ; northern sotho, sepedi; sepedi
ny: nya; chichewa, nyanja; chichewa
oc: oci; occitan; occitan
om: orm gaz; oromo; afaan oromoo
or: ori ory; odia, oriya; ଓଡ଼ିଆ
pa: pan; punjabi, panjabi; ਪੰਜਾਬੀ
pl: pol; polish; polski
ps: pus pbt; pashto; پښتو
pt: por; portuguese; português
rm: roh; romansh; rumantsch
ro: ron rum; romanian, moldovan; română
ru: rus; russian; русский
rw: kin; kinyarwanda; ikinyarwanda
sa: san; sanskrit; संस्कृतम्
sah: ; sakha, yakut; саха тыла
sc: srd; sardinian; sardu
sco: ; scots;
sd: snd; sindhi; سنڌي
si: sin; sinhala, sinhalese; සිංහල
sk: slk slo; slovak; slovenčina
sl: slv; slovenian, slovene; slovenščina
sn: sna; shona; chishona
so: som; somali; soomaali
sq: sqi alb; albanian; shqip
sr: srp; serbian; српски, srpski
su: sun; sundanese; basa sunda
sv: swe; swedish; svenska
sw: swa swh; swahili, kiswahili; kiswahili
ta: tam; tamil; தமிழ்
te: tel; telugu; తెలుగు
tg: tgk; tajik; тоҷикӣ
th: tha; thai; ไทย, ภาษาไทย
ti: tir; tigrinya; ትግርኛ
tk: tuk; turkmen; türkmençe
tl: tgl fil; tagalog, filipino, pilipino; tagalog
tr: tur; turkish; türkçe
tt: tat; tatar; татар
tw: twi aka; twi, akan; twi
ug: uig; uyghur, uighur; ئۇيغۇرچە
uk: ukr; ukrainian; українська
umb: ; umbundu; umbundu
ur: urd; urdu; اردو
uz: uzb uzn; uzbek; oʻzbek, o'zbek
vi: vie; vietnamese; tiếng việt
war: ; waray; winaray
wo: wol; wolof; wolof
xh: xho; xhosa; isixhosa
yi: yid; yiddish; ייִדיש, יידיש
yo: yor; yoruba; yorùbá
yue: ; cantonese; 粵語, 粤语, 廣東話, 广东话
zh: zho chi cmn; chinese, mandarin, mandarin chinese, standard chinese, putonghua; 中文, 汉语, 漢語, 普通话, 國語
zu: zul; zulu; isizulu
"""
# Tags that mean a language by another one's name, or by an old one.
_OTHER_TAGS = {"in": "id", "iw": "he", "jw": "jv", "ji": "yi", "mo": "ro", "sh": "sr", "zh-hk": "yue"}
_TAG = re.compile(r"[a-z]{2,3}(?:-(?:[a-z]{4}|[a-z]{2}|\d{3}|[a-z\d]{5,8}))*")
_NOTE = re.compile(r"\s*[(\[,;/].*$|\s+[-–].*$")


@cache
def _words() -> dict[str, str]:
    """Every code and name in lower case → tag."""
    words = dict(_OTHER_TAGS)
    for line in _TABLE.strip().splitlines():
        tag, rest = line.split(":", maxsplit=1)
        codes, english, own = rest.split(";")
        names = [name.strip() for part in (english, own) for name in part.split(",")]
        for word in (tag, *codes.split(), *names):
            words.setdefault(word.casefold(), tag)
    words.pop("")
    return words


def language_of(text: str) -> tuple[str, str] | None:
    """The primary tag of a language and its whole tag, such as ("zh", "cmn-Hans-CN"); None where it is none.

    Tags may be written with `-` or `_` and in any case; names in English or in the language itself, what is added in
    brackets or before it ("English (India)", "Brazilian Portuguese") passed over. A code not listed here stays.
    """
    word = " ".join(text.split()).casefold()
    tag = word.replace("_", "-")
    if "-" in tag and _TAG.fullmatch(tag):
        first, *others = tag.split("-")
        return _words().get(tag) or _words().get(first, first), _whole(first, others)
    named = _named(word)
    if named is not None:
        return named, named
    return (word, word) if _TAG.fullmatch(word) else None


def is_language(text: str) -> bool:
    """Whether a text is a language that is listed here, by its tag or one of its names."""
    found = language_of(text)
    return found is not None and found[0] in _words()


def _named(word: str) -> str | None:
    words = _words()
    plain = _NOTE.sub("", word)
    last = plain.rpartition(" ")[2]
    return words.get(word) or words.get(plain) or (words.get(last) if len(last) > 3 else None)


def _whole(first: str, others: list[str]) -> str:
    """A tag as it is written: regions in capitals, scripts with a capital."""
    return "-".join([first, *({2: part.upper(), 4: part.title()}.get(len(part), part) for part in others)])
