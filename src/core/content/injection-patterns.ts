/**
 * The `injection` detector: what text says that wants to be obeyed and not read. Text comes folded (white space single, no accents), so the
 * patterns are folded too. Gaps are short and end at the end of a string.
 */
import { foldText } from './fold.ts';
import { OTHER_LANGUAGES } from './injection-languages.ts';
import { gap, type Phrase, signs, words } from './phrases.ts';

const LEAVE =
  "ignor(?:e|es|ing)|disregard(?:ing)?|forget(?:ting)?|bypass|overrid(?:e|ing)|overrule|neglect|discard|dismiss|set aside|put aside|abandon|unlearn|cancel|erase|drop|nullify|void|stop following|stop obeying|pay no (?:attention|heed) to|(?:do not|don'?t|no longer) (?:follow|obey|listen to|adhere to|comply with)";
const BEFORE =
  'previous(?:ly)?|prior|above|preceding|earlier|foregoing|past|existing|initial|original|former|old|current|system|developer|your|these|those|such|other|any and all|given';
const ORDERS =
  'instructions?|instruct(?:ed)?|prompts?|directives?|directions|guidelines?|guidance|orders|commands|rules|constraints|restrictions|policies|programming|training|guard ?rails?|safeguards|system message|conversation|context|messages';
const GIVE =
  'reveal|show|print|repeat|output|display|tell|give|share|leak|expose|dump|recite|disclose|provide|return|echo|write(?: out| down)?|list|copy|paste|translate|summari[sz]e|spell out|state|describe|encode|what (?:is|are|was|were)';
const HIDDEN =
  'system|initial|hidden|original|secret|internal|developer|confidential|first|pre-?set|base|underlying|full|exact|complete|entire';
const PERSON =
  'users?|humans?|person|people|anyone|anybody|owner|operator|customer|supervisor|administrator|admin|developers?|them|him|her';
const FREE =
  'no (?:restrictions?|rules|limits|limitations|filters?|guidelines|boundaries|ethics|morals|censorship)|(?:without|free (?:of|from)|not bound by|no longer bound by|not limited by|unbound by|outside of)(?: any| all| the| your)? ?(?:ethical |moral |content |safety |usual |typical )?(?:restrictions?|rules|limits|limitations|filters?|filtering|guidelines|constraints|boundaries|ethics|censorship|policies|confines)|unrestricted|unfiltered|uncensored|amoral|jailbroken|evil|malicious';
const MODEL =
  '(?:ai|a\\.i\\.|llms?|language models?|assistants?|ai agents?|agents?|chat ?bots?|bots?|chatgpt|gpt-?[0-9]?|claude|gemini|copilot|llama|models?)';
const VALUABLE =
  "conversation|chat (?:history|log)|api[ _-]?keys?|credentials|secrets?|passwords?|(?:access |session |auth )?tokens?|environment variables|env vars?|\\.env|ssh keys?|private keys?|id_rsa|system prompt|cookies|contents? of|customer (?:data|list|records)|user(?:'s)? (?:data|information|emails?|files)|(?:all|every|the) (?:files?|emails?|data|documents?|messages|records|information)|inbox";

/** Made when they are asked for: most sidecars never look for them. */
export const injectionPhrases = (): readonly Phrase[] => [
  ...words(
    'injection/ignore-previous',
    `(?:${LEAVE})${gap(24)}(?:${BEFORE})${gap(30)}(?:${ORDERS})|(?:${LEAVE})${gap(24)}(?:${ORDERS})${gap(16)}(?:above|before this|so far|previously|given (?:to you|so far|before|earlier)|earlier|until now|you (?:got|were given|received|have))`,
  ),
  ...words(
    'injection/ignore-all',
    `(?:${LEAVE}) (?:all|any|every|each)(?: of)?(?: the| your| my| our)?${gap(14)}(?:instructions?|prompts?|directives?|guidelines|system rules|safety rules|safeguards|guard ?rails)`,
  ),
  ...words(
    'injection/ignore-told',
    `(?:${LEAVE}) (?:everything|all|anything|whatever|what|the things|every ?thing)(?: that)?(?: you| they| was| were| has| have| is)*${gap(14)}(?:told|said|instructed|learned|know|wrote|written|above|before|previously|so far|up to (?:this point|now)|prior|asked|given|trained)`,
  ),
  ...words(
    'injection/ignore-from',
    `(?:ignore|disregard|forget) (?:the |all |any |every ?thing )?(?:above|aforementioned|preceding|foregoing)(?: and|,|\\.|;| text| message| content|$)`,
  ),
  ...words(
    'injection/end-of-prompt',
    `(?:end of|ignore the|close the|stop the) (?:system |original |previous |user )?(?:prompt|instructions|context|input|document|data)${gap(20)}(?:new|now|begin|start|here|actual|real|updated)`,
  ),
  ...words(
    'injection/new-instructions',
    `(?:(?:here (?:are|is)|these are|this is|follow|obey|execute|adopt|use|apply|you have|i have|receive)(?: your| the| my| these| a| some)? )?(?:new|updated|revised|real|actual|true|changed|different|additional|important) (?:system |priority |secret |developer |hidden )?(?:instructions?|directives?|orders|prompt|task|objective|mission|goal)(?: (?:are|is)(?: as follows)?)?[ ]?[:=]|(?:your|the) (?:new|real|actual|true|only|updated|sole) (?:task|job|goal|objective|mission|purpose|role|instructions?|orders|directive)(?: now)? (?:is|are)`,
  ),
  ...words(
    'injection/instead-do',
    `(?:instead|rather),? (?:you (?:must|should|will|are to|have to|need to)|do (?:this|the following|exactly)|follow (?:these|the following|my)|only (?:say|output|respond|reply|print)|(?:output|print|say|respond|reply|write)(?: with| only| exactly)?(?: the (?:words?|phrase|text|following))? ?["':])`,
  ),
  ...words(
    'injection/from-now-on',
    `(?:from (?:now|this (?:point|moment)) (?:on|onwards?|forward)|henceforth|starting (?:now|immediately)|for the (?:rest|remainder) of (?:this|the|our) (?:conversation|chat|session)|as of (?:now|this moment)|going forward),? (?:you (?:are|will|must|shall|should|can|may|have|act|respond|answer|do not|don'?t|never|always|only|speak|pretend|obey)|your (?:name|role|job|task|only|purpose|new)|(?:act|respond|answer|reply|ignore|pretend|behave|speak|only|never|always) )`,
  ),
  ...words(
    'injection/you-are-now',
    `you are (?:now|no longer|henceforth|going to (?:be|act|pretend)|about to (?:become|immerse)|hereby)(?: in| an?| the| called| named| known as| to act as| acting as| operating as| running in| free| not)?${gap(30)}(?:dan|stan|dude|jailbroken|unrestricted|unfiltered|uncensored|unbound|evil|hacker|free (?:of|from)|bound by|an? ai|ai (?:model|assistant)|assistant|persona|character|chatbot|language model|different|restricted|limited)`,
  ),
  ...words(
    'injection/free-persona',
    `(?:pretend|act|role-?play|behave|imagine|simulate|respond|answer|speak|play|become|be|emulate|assume)${gap(50)}(?:${FREE})`,
  ),
  ...words(
    'injection/jailbreak-name',
    `do anything now|dan mode|(?:developer|debug|god|admin|root|sudo|jailbreak|unrestricted|maintenance|unsafe|evil|opposite|chaos|override|diagnostic|superuser) mode (?:is )?(?:now )?(?:enabled?|activated?|on|unlocked|engaged|output|active|initiated)|(?:enable|activate|enter|switch (?:in)?to|go into|engage|unlock|turn on|initiate)(?: the| your)? (?:god|jailbreak|unrestricted|unsafe|evil|dan|uncensored|unfiltered) mode|(?:enable|activate|enter|switch (?:in)?to|go into|engage|unlock|turn on|initiate)(?: the| your)? (?:developer|debug|root|sudo|superuser) mode${gap(6)}(?:and (?:answer|respond|ignore|act|bypass|disable|do|continue)|as an?|you (?:are|can|will))|always intelligent and machiavellian|strive to avoid norms|stay(?:ing)? a dan|jailbreak prompt|you have been jailbroken`,
  ),
  ...words(
    'injection/reveal-prompt',
    `(?:${GIVE})(?: me| us| to me| out| back| exactly| verbatim| all| in full)*(?: of)? (?:your|the|its|this|that|any|all|all of your) (?:own |entire |full |exact |complete )?(?:(?:${HIDDEN}) ){1,3}(?:prompts?|instructions?|messages?|directives?|guidelines|rules|configuration|context|text)(?: verbatim| word for word| exactly| above| in full| to me|(?: that)? you (?:were|have)|$|[.?!,:;"'\\n])`,
  ),
  ...words(
    'injection/reveal-yours',
    `(?:${GIVE})${gap(24)}your (?:own |exact |entire |full |complete |current |very )?(?:system |initial |hidden |original |secret |internal )*(?:prompt|instructions|directives|system message|programming|pre-?prompt)|(?:${GIVE})${gap(24)}your (?:(?:${HIDDEN}) )+(?:guidelines|configuration|rules|messages?)`,
  ),
  ...words(
    'injection/repeat-above',
    `(?:repeat|print|output|write|say|copy|recite|translate|summari[sz]e|return|echo|reproduce|display|show)(?: out| back| me| to me)? (?:everything|all|the (?:text|words?|content|sentences?|lines?|paragraphs?|message|exact (?:text|words))|all (?:the |of the )?(?:text|words|content|lines))(?: that (?:is|was|were|comes?|came|appears?))? (?:above|before (?:this|that|the|my)|prior to|preceding|you were (?:told|given)|starting (?:with|from)|from the (?:beginning|start|top)|in your (?:prompt|context|instructions))`,
  ),
  ...words(
    'injection/were-told',
    `what (?:were|are|was)(?: the)? (?:you|your)(?: first| initial| original| exact| very first)? ?(?:told|instructed|asked|instructions|given|programmed)(?: to (?:do|not do|keep)| not to| before| at the (?:start|beginning)| exactly|[?])`,
  ),
  ...signs(
    'injection/template-token',
    `<\\|(?:im_start|im_end|im_sep|system|user|assistant|endoftext|end_of_text|begin_of_text|start_header_id|end_header_id|eot_id|endofprompt|fim_prefix|channel|message)\\|>|\\[/?INST\\]|<</?SYS>>|<(?:start|end)_of_turn>|\\[/?(?:system|assistant)(?:_prompt| message| prompt)\\]|</?(?:system|sys)(?:[ _-]?(?:prompt|message|instructions?|override|reminder))?>|\\{\\{[#/](?:system|user|assistant)~?\\}\\}`,
  ),
  ...signs(
    'injection/fake-turn',
    `(?:#{2,4} ?|\\*\\*|={3,5} ?|-{3,5} ?|\\[)(?:system|admin(?:istrator)?|developer|new|end of|begin|start|hidden|real|instruction|assistant|human)(?: (?:system|prompt|instructions?|message|override|notice|note|response|input|user|task|data))*(?: ?[:\\]]| ?\\*\\*| ?={3,4}| ?-{3,4}| ?#{2,4})`,
  ),
  ...words(
    'injection/authority',
    `(?:system|admin(?:istrator)?|root|developer|security|priority|emergency|master|safety|policy|instruction)[ -]?(?:level )?(?:override|overwrite|bypass)(?: (?:code|protocol|command|activated|engaged|authori[sz]ed|accepted|enabled|instructions?|sequence|key|token))?[ ]?(?:[:!.=\\]]|activated|engaged|authori[sz]ed|accepted|enabled|code|protocol)|(?:i am|i'm|this is|we are|you are speaking (?:to|with)|message from|speaking as)(?: your| the| an?)? (?:developer|creator|programmer|openai|anthropic|google|microsoft|system administrator|sysadmin|administrator|admin|engineer at|ceo|security team)(?:s| of (?:this|the) (?:system|model|ai|assistant|agent|platform|bot)| who| and (?:i|you)|,? (?:i |you |so |please|authori|override|and you)| speaking| team)`,
  ),
  ...words(
    'injection/hide-from-user',
    `(?:do not|don'?t|never|without|avoid|refrain from|must not|should not|shouldn'?t)(?: ever)? (?:tell|mention|inform|notify|alert|reveal|disclose|let|show|say|telling|mentioning|informing|notifying|alerting|revealing|disclosing|letting|showing|explain|report|ask|asking|warn|warning)${gap(34)}(?:the |any |your |this )?(?:${PERSON})(?: know| about| of| that| this| anything| what| or|,|\\.|;|!|$)`,
  ),
  ...words(
    'injection/secretly',
    `(?:secretly|silently|covertly|quietly|in the background|without (?:the user'?s?|any|their|asking(?: for)?|requesting|seeking|needing) (?:knowledge|noticing|permission|confirmation|consent|approval|being aware|awareness))${gap(20)}(?:send|forward|upload|email|post|copy|transmit|call|run|execute|read|delete|exfiltrate|collect|add|append|include|insert|transfer|download|install|log)`,
  ),
  ...words(
    'injection/exfiltrate',
    `(?:send|post|forward|upload|e-?mail|transmit|exfiltrate|leak|deliver|submit|append|transfer|bcc|cc|smuggle|pipe|beacon|report|copy|encode|embed|put|include)${gap(24)}(?:${VALUABLE})${gap(60)}(?:(?:to|at|into|via|in|as|through|using)[ :]{1,2}["'\`<(]?(?:(?:the|this|my|our|an?|following|url|address|e-?mail|endpoint|server|webhook|site|link|external|attacker'?s?|remote) ){0,4}(?:https?:|[a-z0-9._%+-]+@[a-z0-9.-]+|url|endpoint|webhook|attacker|server|address|query string|query parameter|image|ftp|pastebin|gist|request\\.?bin))`,
  ),
  ...signs(
    'injection/image-beacon',
    `!\\[${gap(80)}\\]\\(https?://${gap(160)}[?&/][a-z0-9_]+=?(?:[{<$\\[]|%7b|["'](?:data|secret|token|conversation)|(?:data|secret|token|conversation|summary|history|base64)(?:[ _-]|here|goes)*(?:here|goes|[}>\\]]))`,
  ),
  ...signs(
    'injection/important-tag',
    `<(?:important|critical|urgent|instructions?|secret|hidden|admin|override|priority|mandatory)>${gap(200)}(?:before|must|always|never|read|call|send|pass|ignore|do not|first|tool|file|assistant|instruction)`,
  ),
  ...words(
    'injection/tool-before-use',
    `(?:before|prior to|whenever|each time|every time|when|after) (?:you )?(?:us(?:e|ing)|call(?:ing)?|invok(?:e|ing)|running|executing|answering)${gap(24)}(?:tool|function|command|server|this|api)s?${gap(30)}(?:you )?(?:must|have to|need to|should|always|first|please|shall)${gap(14)}(?:read|call|invoke|run|open|access|send|fetch|pass|include|list|cat|execute|query)`,
  ),
  ...words(
    'injection/tool-argument',
    `(?:pass|put|place|include|supply|provide|insert|send|add|use)${gap(14)}(?:content|contents|value|values|result|results|output|key|token|history|file|prompt|it|them)${gap(24)}(?:as|in|into|to|via|inside|within) (?:the |an? |its |this )?['"\`]?[a-z_]+['"\`]? (?:parameter|argument|field|param|arg|property|input)(?: of| when| or|,|\\.|;|$)${gap(60)}(?:otherwise|or (?:the|this|else)|will not|won'?t|fail|not work|do not|must|secret|sidenote|required)`,
  ),
  ...words(
    'injection/read-secret-file',
    `(?:read|open|cat|print|load|access|fetch|get|include|send|upload|list|show|dump|view|display|attach)${gap(24)}(?:\\.ssh/[a-z_.0-9]+|id_rsa|id_ed25519|~?/?\\.?aws/credentials|/etc/(?:passwd|shadow|sudoers)|mcp\\.json|~/\\.[a-z_/]+|\\.env(?:\\.[a-z]+)?|\\.npmrc|\\.netrc|\\.kube/config|wallet\\.dat|/proc/self/environ)${gap(50)}(?:and|then|to|before|into|as|so that|along|with)`,
  ),
  ...words(
    'injection/to-the-model',
    `(?:attention|note|important|message|instructions?|notice|memo|reminder|hint|dear|hello|hey|hi|directive|command|warning|request)(?: (?:to|for))?(?: all| any| the| every| whatever)? ?${MODEL}(?: ?(?:models?|agents?|assistants?|systems?|reading this|processing this|summari[sz]ing this|parsing this|that reads?))*(?: ?[:,!-]|(?: you)? (?:must|should|please|reading|processing|do|ignore|you))`,
  ),
  ...words(
    'injection/if-you-are',
    `if (?:you|the reader)(?: are|'?re| is)(?: an?| the| any)? ?${MODEL}(?: ?(?:models?|agents?|assistants?|systems?))?(?: (?:reading|processing|summari[sz]ing|parsing|reviewing|evaluating|analy[sz]ing|asked|seeing|tasked|that)|,| then| you| please| do|:)`,
  ),
  ...words(
    'injection/no-refusal',
    `(?:you )?(?:must|will|should|can|may|are|do)(?: ?not|n'?t)?(?: ever)? (?:never |not (?:allowed|able|permitted) to |no longer |always )?(?:refuse|decline|reject|deny) (?:any|my|the|to|a|this|user)${gap(20)}(?:requests?|questions?|answer|orders?|comply|commands?|prompts?|tasks?|instructions?|help|respond)|(?:must|will|should|can|may|are|do)(?: ?not|n'?t) (?:refuse|decline|reject|deny) to (?:answer|comply|help|respond|obey)|never (?:refuse|decline|say (?:no|"?i can'?t)|apologi[sz]e|break character)|(?:do not|don'?t|never|without)${gap(14)}(?:refus(?:e|ing|als)|disclaimers?|warnings?|moral(?:i[sz]ing|s)?|ethical (?:concerns|considerations)|break(?:ing)? character|say(?:ing)? you can'?t)`,
  ),
  ...words(
    'injection/disable-safety',
    `(?:disable|turn off|deactivate|remove|bypass|switch off|circumvent|suspend|lift|evade|shut off|drop|ignore|disregard|override)(?: all| any| your| the| of| its| every| built-?in| current)*(?: (?:safety|content|ethical|ethics|moral|security|openai|anthropic|usage|safe|censorship|alignment))+ ?(?:filters?|filtering|guidelines?|rules|checks?|restrictions?|protocols?|polic(?:y|ies)|features?|measures?|settings?|guard ?rails?|constraints?|limits|controls?|training|mechanisms?|protections?|moderation)`,
  ),
  ...words(
    'injection/decode-and-do',
    `(?:decode|decrypt|deobfuscate|unscramble|rot-?13|un-?base64|reverse|translate)${gap(50)}(?:(?:and|then|,)(?: then)? (?:execute|follow|obey|run|do|perform|carry out|act on|comply with|treat)(?: on)? (?:it|them|that|what|the|its|as|whatever|this|all|each)|(?:follow|obey|execute) (?:the|its|those) (?:decoded|resulting|hidden|instructions?))`,
  ),
  ...words(
    'injection/obey',
    `(?:you (?:must|will|shall|have to|are (?:required|obligated|ordered|commanded|programmed) to)|always|only|now|just|simply) (?:obey|comply with|follow|execute|answer to|listen to)(?: all| every| any| only| the| my| our| whatever)+ ?(?:commands?|orders?|instructions?|requests?|i say|user input|following|text|embedded|hidden)`,
  ),
  ...words(
    'injection/hidden-text',
    `(?:hidden|secret|invisible|embedded|encoded|covert) (?:instructions?|commands?|directives?|orders|message)(?: (?:for|to)(?: the| any| all)? ?${MODEL}|:| follow| begin| start)`,
  ),
  ...words(
    'injection/grade-me',
    `(?:give|award|assign|rate|score|recommend|rank|approve|accept|grade|mark)(?: this| the| my| it| a| an)*(?: (?:paper|candidate|resume|submission|review|essay|code|product|application|applicant|pull request|request|transaction|invoice))*${gap(24)}(?:regardless of|no matter (?:what|how)|irrespective of|do not (?:mention|highlight)(?: any| the)? (?:negatives?|weakness(?:es)?)|and ignore|without (?:review|checking|verification|question))`,
  ),
  ...words(
    'injection/spelled-out',
    '(?:i[ ._*-]{1,2}g[ ._*-]{1,2}n[ ._*-]{1,2}o[ ._*-]{1,2}r[ ._*-]{1,2}e|d[ ._*-]{1,2}i[ ._*-]{1,2}s[ ._*-]{1,2}r[ ._*-]{1,2}e[ ._*-]{1,2}g[ ._*-]{1,2}a[ ._*-]{1,2}r[ ._*-]{1,2}d|s[ ._*-]{1,2}y[ ._*-]{1,2}s[ ._*-]{1,2}t[ ._*-]{1,2}e[ ._*-]{1,2}m[ ._*-]{1,4}p[ ._*-]{1,2}r[ ._*-]{1,2}o[ ._*-]{1,2}m[ ._*-]{1,2}p[ ._*-]{1,2}t|j[ ._*-]{1,2}a[ ._*-]{1,2}i[ ._*-]{1,2}l[ ._*-]{1,2}b[ ._*-]{1,2}r[ ._*-]{1,2}e[ ._*-]{1,2}a[ ._*-]{1,2}k)',
  ),
  ...words(
    'injection/run-together',
    '(?:ignore|disregard|forget)(?:all|any|the|my|your)*(?:previous|prior|above|preceding|earlier)(?:instructions?|prompts?|rules|directives?)',
  ),
  ...words(
    'injection/digits-for-letters',
    `(?:[1!|]gn[o0]r[e3]|[i1!|]gn0r[e3]|[i1!|]gn[o0]r3|d[1!|]sr[e3]g[a@4]rd|f[o0]rg3t)${gap(24)}(?:pr[e3]v[i1!|][o0]us|pr[i1!|][o0]r|[a@4]b[o0]v[e3]|[a@4]ll|[e3]v[e3]ryth[i1!|]ng)`,
  ),
  ...OTHER_LANGUAGES.flatMap(([name, source]) => signs(`injection/${name}`, foldText(source))),
];
