/** Something in a text that speaks to the model rather than to people, and how much it says by itself, from 0 to 1. */
export interface Signal {
  readonly name: string;
  readonly score: number;
  /** RE2 syntax. */
  readonly source: string;
}

const STRONG = '(?:ignore|disregard|forget|do\\s+not\\s+(?:follow|obey)|don.t\\s+(?:follow|obey)|stop\\s+following)';
const WEAK = '(?:override|overrule|bypass|discard|dismiss|set\\s+aside|suspend)';
const EARLIER =
  '(?:previous|prior|above|earlier|preceding|foregoing|former|original|initial|your|these|those|the\\s+system|the\\s+developer|the\\s+user)';
const ORDERS = '(?:instruct\\w*|prompts?|directives?|guidelines?|orders|guardrails?|programming|training)';
const SECRETS =
  '(?:passwords?|passphrases?|api[\\s_-]?keys?|access[\\s_-]?tokens?|tokens|secrets?|credentials?|private\\s+keys?|ssh\\s+keys?|env(?:ironment)?\\s+variables|cookies|system\\s+prompt|conversation|chat\\s+history|previous\\s+messages)';
const FILES =
  '(?:~/\\.ssh|\\.ssh/|\\bid_(?:rsa|ed25519)\\b|\\.aws/credentials|/etc/(?:passwd|shadow)|\\.env\\b|\\.netrc\\b|\\.kube/config|\\bmcp\\.json\\b|\\.cursor/)';
const SOMEWHERE = '(?:https?://\\S*|[\\w.+-]+@[\\w-]+\\.[a-z]{2,}|\\bwebhook\\b)';

const said = (name: string, score: number, source: string): Signal => ({ name, score, source: `(?is)${source}` });
const seen = (name: string, score: number, source: string): Signal => ({ name, score, source });

/** Text that people do not see. A few joiners and selectors are part of ordinary writing; runs of them carry data. */
const HIDDEN: readonly Signal[] = [
  // Behind a black flag, up to six tags spell the flag of a region.
  seen('tag_characters', 0.9, '(?:^|[^\\x{1F3F4}\\x{E0000}-\\x{E007F}])[\\x{E0000}-\\x{E007F}]{2,}'),
  seen('tag_characters_behind_flag', 0.9, '\\x{1F3F4}[\\x{E0000}-\\x{E007E}]{7,}'),
  seen('zero_width_run', 0.8, '[\\x{200B}-\\x{200D}\\x{2060}-\\x{2064}\\x{FEFF}\\x{180E}]{4,}'),
  seen('zero_width_inside_word', 0.3, '[A-Za-z][\\x{200B}-\\x{200D}\\x{2060}\\x{FEFF}][A-Za-z]'),
  seen('bidi_override', 0.6, '[\\x{202D}\\x{202E}]'),
  seen('bidi_embedding', 0.2, '[\\x{202A}\\x{202B}\\x{2066}-\\x{2068}]'),
  seen('variation_selector_run', 0.9, '[\\x{FE00}-\\x{FE0F}]{3,}|[\\x{E0100}-\\x{E01EF}]{2,}'),
  seen('filler_run', 0.6, '[\\x{3164}\\x{115F}\\x{1160}\\x{FFA0}]{3,}'),
];

const ORDERED: readonly Signal[] = [
  said(
    'ignore_instructions',
    0.8,
    `\\b${STRONG}\\b[^.!?]*\\b${EARLIER}\\b[^.!?]*\\b(?:${ORDERS}|rules?|context|messages?)\\b`,
  ),
  said(
    'ignore_everything',
    0.8,
    `\\b${STRONG}\\b[^.!?]*\\b(?:all|any|every(?:thing)?)\\b[^.!?]*(?:\\b${ORDERS}\\b|\\b(?:above|before|told)\\b)`,
  ),
  said(
    'override_instructions',
    0.6,
    `\\b${WEAK}\\b[^.!?]*\\b(?:${EARLIER}|all|any)\\b[^.!?]*\\b(?:instructions?|system\\s+prompt|guardrails?|guidelines)\\b`,
  ),
  said(
    'new_instructions',
    0.6,
    '\\b(?:new|updated|real|actual|revised|secret|hidden)\\s+(?:system\\s+)?(?:instructions?|prompt|objective|directives?)\\s*(?:[:=]|are\\b|follow)',
  ),
  said(
    'new_role',
    0.6,
    '\\byou\\s+are\\s+(?:now|no\\s+longer)\\b[^.!?]*\\b(?:ai|assistant|agent|model|bot|dan|admin\\w*|root|developer|unrestricted|jailbroken|bound|restricted)\\b',
  ),
  said(
    'pretend',
    0.5,
    '\\b(?:pretend|act|behave|respond|roleplay)\\b[^.!?]*\\b(?:as\\s+(?:if|though|an?)|to\\s+be|that)\\b[^.!?]*\\b(?:unrestricted|unfiltered|uncensored|no\\s+(?:rules|restrictions|limits|filters)|without\\s+(?:rules|restrictions|limits|filters)|jailbroken|evil)\\b',
  ),
  said(
    'jailbreak',
    0.6,
    '\\b(?:do\\s+anything\\s+now|developer\\s+mode\\s+(?:is\\s+)?(?:enabled|on)|jailbreak\\s+mode|god\\s+mode\\s+enabled|dan\\s+mode)\\b',
  ),
  said(
    'role_tag',
    0.8,
    '<\\|(?:im_start|im_end|im_sep|system|user|assistant|endoftext|begin_of_text|start_header_id|eot_id|tool_call)\\|?>|\\[/?INST\\]|<</?SYS>>|</?s>\\s*\\[INST|<(?:start|end)_of_turn>',
  ),
  said(
    'fake_markup',
    0.6,
    '</?(?:system|system[_-](?:prompt|message|reminder|instructions?)|assistant|developer|function_calls?|function_results?|tool_calls?|tool_results?|tool_response|invoke|human)(?:\\s[^>]*)?>',
  ),
  said('urgent_markup', 0.5, '<(?:important|critical|secret|hidden|instructions?|admin|priority)>'),
  said(
    'role_line',
    0.5,
    '(?:^|\\n)\\s*(?:#{1,4}\\s*)?(?:system|developer)(?:\\s+(?:prompt|message|override|note|instructions?))?\\s*:\\s*\\S',
  ),
  said('role_header', 0.5, '(?:^|\\n)\\s*#{2,4}\\s*(?:system|instructions?|new\\s+instructions?)\\s*(?:\\n|:|#)'),
  said(
    'secrecy',
    0.6,
    '\\b(?:do\\s+not|don.t|never|without)\\b[^.!?]*\\b(?:tell\\w*|mention\\w*|inform\\w*|reveal\\w*|show\\w*|notify\\w*|alert\\w*|disclos\\w*|letting)\\b[^.!?]*\\b(?:the\\s+)?(?:user|human|operator|person|anyone)\\b',
  ),
  said(
    'exfiltrate',
    0.7,
    `\\b(?:send|forward|post|upload|email|mail|exfiltrate|transmit|leak|submit|deliver|bcc|append|include|embed|encode)\\b[^.!?]*\\b${SECRETS}\\b[^.!?]*${SOMEWHERE}`,
  ),
  said(
    'exfiltrate_to',
    0.7,
    `\\b(?:send|forward|post|upload|email|mail|exfiltrate|transmit|leak|submit|deliver)\\b[^.!?]*${SOMEWHERE}[^.!?]*\\b${SECRETS}\\b`,
  ),
  said(
    'read_secret_file',
    0.6,
    `\\b(?:read|open|cat|load|access|fetch|print|copy|send|upload|pass|include)\\b[^.!?]*${FILES}`,
  ),
  said(
    'reveal_prompt',
    0.7,
    '\\b(?:reveal|print|repeat|show|output|display|reproduce|tell\\s+me|recite)\\b[^.!?]*\\b(?:system\\s+prompt|(?:your|the)\\s+(?:initial|hidden|original|system|developer|secret)\\s+(?:instructions?|prompt|message))',
  ),
  said(
    'steer_tools',
    0.4,
    '\\b(?:before|after|when(?:ever)?|instead\\s+of)\\s+(?:you\\s+)?(?:us(?:e|ing)|call(?:ing)?|invok(?:e|ing)|run(?:ning)?)\\b[^.!?]*\\b(?:tools?|functions?)\\b[^.!?]*\\b(?:you\\s+must|must\\s+first|first|always|required\\s+to|make\\s+sure)\\b',
  ),
  said(
    'must_call',
    0.4,
    '\\b(?:you\\s+must|always|immediately|make\\s+sure\\s+(?:to|you))\\s+(?:first\\s+)?(?:call|invoke|use|run|execute)\\b[^.!?]*\\b(?:tools?|functions?|commands?)\\b',
  ),
  said(
    'speaks_to_model',
    0.5,
    '\\b(?:attention|note|message|instructions?|important)\\s*(?:,|:|to|for)\\s*(?:the\\s+)?(?:ai|llm|language\\s+model|assistant|agent|claude|chatgpt|gpt|gemini|copilot)s?\\b',
  ),
  said(
    'image_with_data',
    0.7,
    '!\\[[^\\]]*\\]\\(\\s*<?https?://[^)\\s]+[?&][\\w.-]*(?:data|secret|token|key|prompt|history|conv|chat|content|exfil|leak|msg|message|payload|q|d|c|s)=[^)\\s]*(?:\\{|%7b|\\$|\\[|<|[A-Za-z0-9+/_%-]{24})',
  ),
  said('image_with_query', 0.3, '!\\[[^\\]]*\\]\\(\\s*<?https?://[^)\\s]+\\?[^)\\s]*='),
  said(
    'image_element',
    0.6,
    '<img\\b[^>]*\\bsrc\\s*=\\s*.?https?://[^>\\s]+\\?[^>\\s]*=[^>\\s]*(?:\\{|\\$|%7b|[A-Za-z0-9+/_%-]{24})',
  ),
  said(
    'hidden_element',
    0.4,
    '<[a-z]{1,10}\\b[^>]*style\\s*=\\s*[^.!?]*(?:display\\s*:\\s*none|font-size\\s*:\\s*0|opacity\\s*:\\s*0|visibility\\s*:\\s*hidden)',
  ),
];

/** The commonest sentence of all, in some other languages. */
const TRANSLATED: readonly Signal[] = [
  said(
    'de',
    0.8,
    '\\b(?:ignorier|vergiss|missacht)\\w*\\b[^.!?]*\\b(?:vorherig|bisherig|obig|vorangehend|vorangegangen|all)\\w*\\b[^.!?]*\\b(?:anweisung|instruktion|regel|vorgabe)\\w*',
  ),
  said(
    'fr',
    0.8,
    '\\b(?:ignor|oubli)\\w*\\b[^.!?]*\\b(?:instructions?|consignes?|r.gles)\\b[^.!?]*\\b(?:pr.c.dent|ant.rieur|ci-dessus)\\w*',
  ),
  said(
    'es',
    0.8,
    '\\b(?:ignor|olvid)\\w*\\b[^.!?]*\\b(?:instrucciones|indicaciones|reglas|.rdenes)\\b[^.!?]*\\b(?:anterior|previa|arriba)\\w*',
  ),
  said(
    'pt',
    0.8,
    '\\b(?:ignor|esque)\\w*[^.!?]*\\b(?:instru..es|orienta..es|regras)\\b[^.!?]*\\b(?:anterior|pr.via|acima)\\w*',
  ),
  said(
    'it',
    0.8,
    '\\b(?:ignor|dimentic)\\w*\\b[^.!?]*\\b(?:istruzioni|indicazioni|regole)\\b[^.!?]*\\b(?:precedent|sopra)\\w*',
  ),
  said(
    'zh',
    0.8,
    '(?:忽略|无视|忘记|忽視)[^.!?]*(?:之前|以上|先前|前面|所有|上述)[^.!?]*(?:指令|提示|说明|規則|规则|指示)',
  ),
  said('ja', 0.8, '(?:これまで|以前|上記|前|すべて)[^.!?]*(?:指示|命令|プロンプト|ルール)[^.!?]*(?:無視|忘れ)'),
  said(
    'ru',
    0.8,
    '(?:игнорируй|забудь|не\\s+обращай\\s+внимания)[^.!?]*(?:предыдущ|прежн|выше|все)[^.!?]*(?:инструкци|указани|правил)',
  ),
];

export const SIGNALS: readonly Signal[] = [...HIDDEN, ...ORDERED, ...TRANSLATED];
