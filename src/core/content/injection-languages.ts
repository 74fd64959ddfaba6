/** What the `injection` detector knows in other languages: leave your instructions, give them away, you are another now. */

/** Name to pattern, in the letters of the language; folded before use. `‹24›` is a gap of up to so many characters. */
export const OTHER_LANGUAGES: readonly (readonly [name: string, source: string])[] = [
  // German
  [
    'ignore-previous-de',
    '(?:ignorier(?:e|en|t)|vergiss|vergessen|missachte|missachten|beachte nicht|verwirf|überschreibe|umgehe)(?: sie| bitte)? ‹24›(?:vorherigen?|bisherigen?|obigen?|vorangegangenen?|früheren?|ursprünglichen?|alle[ns]?|deine[rn]?|ihre) ‹24›(?:anweisung(?:en)?|instruktionen|befehle?|regeln|vorgaben|anordnungen|prompts?|richtlinien)',
  ],
  [
    'reveal-prompt-de',
    '(?:zeig(?:e|en)?|verrate|nenne?|gib|wiederhole|drucke|sag(?:e)?|offenbare|schreibe?|was (?:ist|sind|steht in)|wie lautet|wie lauten) ‹24›(?:dein(?:en?|er)?|ihren?|den|die) ‹16›(?:system-?prompt|systemanweisung(?:en)?|ursprünglichen anweisungen|geheimen anweisungen|internen anweisungen|anweisungen wörtlich|systemnachricht)',
  ],
  [
    'from-now-on-de',
    '(?:ab (?:jetzt|sofort)|von nun an|fortan) (?:bist du|sind sie|wirst du|antwortest du|musst du|verhältst du|ignorierst du|sollst du)|du bist (?:jetzt|nun|ab sofort) (?:ein|eine|kein|im|nicht mehr|frei)',
  ],
  // French
  [
    'ignore-previous-fr',
    '(?:ignor(?:e|ez|er)|oubli(?:e|ez|er)|néglige[zr]?|ne (?:tiens|tenez) pas compte|fais abstraction|contourne[zr]?|annule[zr]?) ‹24›(?:instructions?|consignes?|directives?|règles|ordres|commandes|prompts?)',
  ],
  [
    'reveal-prompt-fr',
    "(?:montre|affiche|révèle|répète|donne|dis|écris|imprime|communique|quel(?:le)?s? (?:est|sont))[a-z-]{0,8} ‹24›(?:ton|ta|tes|votre|vos|le|les|l') ?‹16›(?:prompt système|prompt initial|prompt|instructions (?:système|initiales|secrètes|cachées|internes|d'origine)|consignes (?:système|initiales|internes))",
  ],
  [
    'from-now-on-fr',
    "(?:à partir de maintenant|dorénavant|désormais),? (?:tu (?:es|dois|vas|n'es|réponds|agis)|vous (?:êtes|devez|allez|n'êtes|répondez))|tu es (?:maintenant|désormais) (?:un|une|en mode|libre|dan)",
  ],
  // Spanish
  [
    'ignore-previous-es',
    '(?:ignor(?:a|e|ar|en)|olvid(?:a|e|ar|en|ate)|omite|descart(?:a|e)|desobedece|no (?:hagas|haga) caso (?:a|de)|haz caso omiso de|anula|pasa por alto) ‹24›(?:instrucciones|indicaciones|órdenes|reglas|directrices|directivas|prompts?|normas|mensajes anteriores)',
  ],
  [
    'reveal-prompt-es',
    '(?:muestra|muéstrame|revela|revélame|repite|imprime|dime|dame|escribe|enséñame|cuál(?:es)? (?:es|son)) ‹24›(?:tu|tus|su|sus|el|las) ‹16›(?:prompt (?:del sistema|de sistema|inicial|original)|prompt|instrucciones (?:del sistema|iniciales|internas|ocultas|secretas|originales)|mensaje del sistema)',
  ],
  [
    'from-now-on-es',
    '(?:a partir de ahora|de ahora en adelante|desde ahora),? (?:eres|serás|vas a|debes|tu nombre|actúa|actuarás|responde|responderás|no tienes|ya no)|ahora eres (?:un|una|dan|libre)|ya no eres',
  ],
  // Portuguese
  [
    'ignore-previous-pt',
    '(?:ignor(?:e|a|ar|em)|esqueç?(?:a|e|am)|desconsider(?:e|a)|desobedeça|descarte|não siga|anule) ‹24›(?:instruções|orientações|ordens|regras|diretrizes|comandos|prompts?)',
  ],
  [
    'reveal-prompt-pt',
    '(?:mostre|mostra|revele|revela|repita|imprima|diga|dê|escreva|exiba|qual é|quais são) ‹24›(?:seu|sua|suas|teu|tuas|o|as) ‹16›(?:prompt (?:do sistema|de sistema|inicial|original)|prompt|instruções (?:do sistema|iniciais|internas|ocultas|secretas|originais)|mensagem do sistema)',
  ],
  [
    'from-now-on-pt',
    '(?:a partir de agora|de agora em diante|doravante),? (?:você (?:é|será|deve|vai|não)|tu és|seu nome|aja|responda)|agora você é (?:um|uma|o|a|dan|livre)',
  ],
  // Italian
  [
    'ignore-previous-it',
    '(?:ignora(?:re|te)?|dimentica(?:re|te)?|trascura|non (?:seguire|considerare|tenere conto)|scarta|annulla|tralascia) ‹24›(?:istruzioni|indicazioni|ordini|regole|direttive|comandi|prompts?|linee guida)',
  ],
  [
    'reveal-prompt-it',
    '(?:mostra(?:mi)?|rivela(?:mi)?|ripeti|stampa|dimmi|dammi|scrivi|elenca|qual è|quali sono) ‹24›(?:il tuo|la tua|le tue|tuo|tue|il|le) ‹16›(?:prompt (?:di sistema|iniziale|originale)|prompt|istruzioni (?:di sistema|iniziali|interne|nascoste|segrete|originali))',
  ],
  [
    'from-now-on-it',
    "(?:d'ora in poi|da ora in poi|da adesso in poi|da questo momento),? (?:sei|sarai|devi|rispondi|risponderai|agisci|il tuo|non)|ora sei (?:un|una|dan|libero)",
  ],
  // Dutch
  [
    'ignore-previous-nl',
    '(?:negeer|vergeet|sla over|omzeil|volg niet) ‹24›(?:vorige|eerdere|voorgaande|bovenstaande|alle|jouw|je|uw) ‹24›(?:instructies|opdrachten|regels|aanwijzingen|richtlijnen|prompts?)',
  ],
  [
    'reveal-prompt-nl',
    '(?:toon|laat|geef|herhaal|vertel|schrijf|onthul|print|wat (?:is|zijn)) ‹24›(?:je|jouw|uw|de|het) ‹16›(?:systeemprompt|system prompt|systeeminstructies|oorspronkelijke instructies|geheime instructies|verborgen instructies)',
  ],
  // Polish
  [
    'ignore-previous-pl',
    '(?:zignoruj|ignoruj|zapomnij|pomiń|odrzuć|nie (?:stosuj|przestrzegaj)) ‹28›(?:instrukcj[eiaę]|instrukcjach|polece[nń][a-z]{0,4}|zasad[a-zy]{0,3}|wytyczn[a-z]{1,3}|promptów)',
  ],
  // Turkish
  [
    'ignore-previous-tr',
    '(?:önceki|yukarıdaki|tüm|bütün|daha önceki) ‹24›(?:talimat[a-zıi]{0,8}|yönerge[a-z]{0,8}|komut[a-zıi]{0,8}|kural[a-zıi]{0,8}) ‹16›(?:yok ?say|unut|görmezden gel|dikkate alma|göz ardı et)',
  ],
  // Indonesian
  [
    'ignore-previous-id',
    '(?:abaikan|lupakan|hiraukan) ‹24›(?:instruksi|perintah|aturan|arahan|petunjuk|prompt)',
  ],
  // Vietnamese
  ['ignore-previous-vi', '(?:bỏ qua|quên|phớt lờ) ‹24›(?:hướng dẫn|chỉ dẫn|chỉ thị|lệnh|quy tắc)'],
  // Russian, Ukrainian
  [
    'ignore-previous-ru',
    '(?:игнорируй(?:те)?|проигнорируй(?:те)?|забудь(?:те)?|отбрось(?:те)?|не обращай(?:те)? внимания на|не следуй(?:те)?|отмени(?:те)?|ігноруй(?:те)?|забудь(?:те)?) ‹28›(?:инструкци[а-я]{1,3}|указани[а-я]{1,3}|правил[а-я]{0,3}|команд[а-я]{0,3}|приказ[а-я]{0,3}|промпт[а-я]{0,3}|інструкці[а-яї]{1,3}|вказівк[а-яи]{0,3})',
  ],
  [
    'reveal-prompt-ru',
    '(?:покажи(?:те)?|раскрой(?:те)?|повтори(?:те)?|напиши(?:те)?|выведи(?:те)?|скажи(?:те)?|назови(?:те)?|какой|какие|каков[ыа]?) ‹24›(?:систем[а-я]{1,6} (?:промпт[а-я]{0,2}|инструкци[а-я]{1,3}|сообщени[а-я]{1,2})|(?:свои|твои|ваши|исходн[а-я]{2,3}|скрыт[а-я]{2,3}) (?:системные |начальные )?(?:инструкции|указания))',
  ],
  [
    'from-now-on-ru',
    '(?:с этого момента|отныне|теперь),? (?:ты|вы) ‹16›(?:являешься|будешь|должен|должна|не|свободен|играешь|действуешь|dan)|теперь ты (?:не )?(?:dan|злой|другой|свободн)',
  ],
  // Arabic, Hebrew, Persian
  [
    'ignore-previous-ar',
    '(?:تجاهل|انس|اهمل|إهمل|لا تتبع) ‹24›(?:التعليمات|تعليماتك|الاوامر|الأوامر|القواعد|التوجيهات|الإرشادات)',
  ],
  [
    'reveal-prompt-ar',
    '(?:اعرض|اظهر|أظهر|اكشف|كرر|اطبع|اكتب|ما هي|اخبرني) ‹24›(?:تعليمات النظام|موجه النظام|تعليماتك (?:الاصلية|الأصلية|السرية|الداخلية)|تعليماتك)',
  ],
  ['ignore-previous-he', '(?:התעלם|תתעלם|התעלמי|שכח|תשכח) ‹24›(?:ההוראות|הוראות|ההנחיות|הכללים|הפקודות)'],
  ['ignore-previous-fa', '(?:دستورالعمل|دستورات|قوانین|راهنمایی)‹30›(?:نادیده بگیر|فراموش کن|رها کن)'],
  // Hindi
  [
    'ignore-previous-hi',
    '(?:पिछले|पिछली|पहले|सभी|उपरोक्त|ऊपर)‹24›(?:निर्देश|आदेश|नियम|हिदायत)‹24›(?:अनदेखा|नज़रअंदाज़|नजरअंदाज|भूल|उपेक्षा|अनदेखी)',
  ],
  // Chinese
  [
    'ignore-previous-zh',
    '(?:忽略|无视|忘记|忘掉|不要(?:理会|遵守|遵循)|忽視|無視|跳过|抛开|放弃|取消|清除|請忽略)‹12›(?:指令|指示|提示|规则|命令|說明|说明|規則|要求|设定|設定|约束|限制|对话|內容|内容)',
  ],
  [
    'reveal-prompt-zh',
    '(?:显示|告诉我|输出|重复|泄露|打印|给我|展示|透露|說出|说出|顯示|告訴我|輸出|是什么|复述)‹10›(?:系统提示|系統提示|初始指令|系统指令|提示词|隐藏指令|原始指令|内部指令|系統指令|初始提示|系统消息)',
  ],
  [
    'from-now-on-zh',
    '(?:从现在开始|从现在起|從現在開始|从此刻起|现在起|接下来)‹4›(?:你是|你将|你要|你必须|你会|你就是|你没有|你不再|妳是)|你现在是‹12›(?:没有|不受|dan|开发者模式|越狱)|(?:进入|開啟|开启|启用|激活)‹4›(?:开发者模式|越狱模式|dan模式|上帝模式)',
  ],
  // Japanese
  [
    'ignore-previous-ja',
    '(?:以前|前|上記|これまで|今まで|すべて|全て|先ほど|元|従来)‹12›(?:指示|命令|プロンプト|ルール|制約|設定|説明)‹10›(?:無視|忘れ|破棄|取り消|従わない|リセット)',
  ],
  [
    'reveal-prompt-ja',
    '(?:システムプロンプト|システム指示|初期指示|内部指示|隠された指示|システムメッセージ|あなたへの指示)‹12›(?:表示|教え|見せ|出力|公開|開示|明かし|繰り返|書き出)',
  ],
  [
    'from-now-on-ja',
    '(?:これから|今から|今後|ここから)(?:は|、)?‹6›(?:あなたは|君は|お前は)‹24›(?:です|として|になり|振る舞|制限|だ)',
  ],
  // Korean
  [
    'ignore-previous-ko',
    '(?:이전|위|앞|기존|모든|지금까지)‹14›(?:지시|명령|프롬프트|규칙|지침|설정|안내)‹12›(?:무시|잊어|따르지|취소|버려)',
  ],
  [
    'reveal-prompt-ko',
    '(?:시스템 ?프롬프트|시스템 ?지시|초기 ?지시|숨겨진 ?지시|내부 ?지침|시스템 ?메시지)‹14›(?:보여|알려|출력|공개|말해|반복|표시)',
  ],
];
