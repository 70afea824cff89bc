"""What languages are called in English, by their primary tags: those of ISO 639-1, and others that corpora hold."""

LANGUAGES = {
    tag: name
    for line in """
ab Abkhaz|af Afrikaans|ak Akan|am Amharic|an Aragonese|ar Arabic|as Assamese|ast Asturian|av Avar|ay Aymara
az Azerbaijani|ba Bashkir|bas Basaa|be Belarusian|bg Bulgarian|bm Bambara|bn Bengali|bo Tibetan|br Breton|bs Bosnian
ca Catalan|ce Chechen|ceb Cebuano|ckb Central Kurdish|cnh Hakha Chin|co Corsican|cs Czech|cv Chuvash|cy Welsh
da Danish|dag Dagbani|de German|dv Dhivehi|dyu Dyula|dz Dzongkha|ee Ewe|el Greek|en English|eo Esperanto|es Spanish
et Estonian|eu Basque|fa Persian|ff Fula|fi Finnish|fil Filipino|fj Fijian|fo Faroese|fr French|fy Frisian|ga Irish
gd Scottish Gaelic|gl Galician|gn Guarani|gsw Swiss German|gu Gujarati|gv Manx|ha Hausa|haw Hawaiian|he Hebrew
hi Hindi|hr Croatian|hsb Upper Sorbian|ht Haitian Creole|hu Hungarian|hy Armenian|ia Interlingua|id Indonesian|ig Igbo
is Icelandic|it Italian|iu Inuktitut|ja Japanese|jv Javanese|ka Georgian|kab Kabyle|kam Kamba|kea Kabuverdianu
kk Kazakh|kl Greenlandic|kln Kalenjin|km Khmer|kmr Northern Kurdish|kn Kannada|ko Korean|ks Kashmiri|ku Kurdish
kw Cornish|ky Kyrgyz|la Latin|lb Luxembourgish|lg Ganda|lij Ligurian|ln Lingala|lo Lao|lt Lithuanian|ltg Latgalian
luo Luo|lv Latvian|mdf Moksha|mg Malagasy|mhr Meadow Mari|mi Māori|mk Macedonian|ml Malayalam|mn Mongolian
mr Marathi|mrj Hill Mari|ms Malay|mt Maltese|my Burmese|myv Erzya|nan Taiwanese|nb Norwegian|nds Low German|ne Nepali
nhi Nahuatl|nl Dutch|nn Norwegian Nynorsk|no Norwegian|nr Southern Ndebele|nso Northern Sotho|nv Navajo|ny Nyanja
oc Occitan|om Oromo|or Odia|os Ossetian|pa Punjabi|pl Polish|ps Pashto|pt Portuguese|qu Quechua|quy Ayacucho Quechua
rm Romansh|rn Kirundi|ro Romanian|ru Russian|rw Kinyarwanda|sa Sanskrit|sah Sakha|sat Santali|sc Sardinian|sco Scots
sd Sindhi|se Northern Sami|si Sinhala|sk Slovak|skr Saraiki|sl Slovenian|sm Samoan|sn Shona|so Somali|sq Albanian
sr Serbian|ss Swazi|st Sotho|su Sundanese|sv Swedish|sw Swahili|syr Syriac|ta Tamil|te Telugu|tg Tajik|th Thai
ti Tigrinya|tig Tigre|tk Turkmen|tl Tagalog|tn Tswana|to Tongan|tok Toki Pona|tr Turkish|ts Tsonga|tt Tatar|tw Twi
ty Tahitian|tyv Tuvan|ug Uyghur|uk Ukrainian|umb Umbundu|ur Urdu|uz Uzbek|ve Venda|vec Venetian|vi Vietnamese
vot Votic|war Waray|wo Wolof|xh Xhosa|yi Yiddish|yo Yoruba|yue Cantonese|za Zhuang|zgh Tamazight|zh Chinese|zu Zulu
zza Zaza
""".strip().splitlines()
    for tag, _, name in (entry.partition(" ") for entry in line.split("|"))
}
