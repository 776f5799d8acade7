import type { MaskingDocument } from '../documents.ts';
import { isDigit, isLetter } from './characters.ts';
import { Collector } from './collector.ts';
import { compileCustom } from './custom.ts';
import type { CustomMatcher } from './custom.ts';
import { DigitGroups } from './digits.ts';
import { BUILT_IN_TYPES, DEFAULT_THRESHOLD, withoutOverlaps } from './entities.ts';
import type { Ask, BuiltInType, Sink, Span } from './entities.ts';
import { Folding } from './fold.ts';
import { accessKeyId, isAccessKeyPrefix, secretKeys } from './recognisers/aws-access-key.ts';
import { creditCards } from './recognisers/credit-card.ts';
import { email } from './recognisers/email.ts';
import { compileIban } from './recognisers/iban-code.ts';
import { Ipv6Recogniser, ipv4 } from './recognisers/ip-address.ts';
import { JwtRecogniser } from './recognisers/jwt.ts';
import { phoneNumbers } from './recognisers/phone-number.ts';
import { privateKeys } from './recognisers/private-key.ts';
import { socialSecurityNumbers } from './recognisers/us-ssn.ts';

/** What may begin at a unit of text. */
export const NOTHING = 0;
export const DIGIT = 1;
export const COLON = 2;
export const AT = 3;
export const CAPITAL_J = 4;
export const CAPITAL_A = 5;

/** Recognises the entities of all rules of a connection in one pass over a text. Holds scratch space: not re-entrant. */
export class Detector {
  readonly folding = new Folding();
  readonly asks: ReadonlyMap<BuiltInType, readonly Ask[]>;
  readonly customs: readonly CustomMatcher[];
  /** What may begin at each ASCII character, of the types asked for. */
  readonly triggers = new Uint8Array(128);
  readonly #groups = new DigitGroups();
  readonly #jwt = new JwtRecogniser();
  readonly #ipv6 = new Ipv6Recogniser();
  readonly #iban = compileIban();
  readonly #collector: Collector;
  readonly #wantsCards: boolean;
  readonly #wantsSsns: boolean;
  readonly #wantsPhones: boolean;
  readonly #wantsIps: boolean;
  readonly #wantsIbans: boolean;

  constructor(documents: readonly MaskingDocument[]) {
    this.asks = collectAsks(documents);
    this.customs = documents.flatMap((document) =>
      (document.custom_entity_types ?? []).flatMap((entity) =>
        compileCustom(entity, document.name, document.score_threshold ?? DEFAULT_THRESHOLD, this.folding),
      ),
    );
    this.#collector = new Collector(this.asks);
    this.#fillTriggers();
    this.#wantsCards = this.asks.has('CREDIT_CARD');
    this.#wantsSsns = this.asks.has('US_SSN');
    this.#wantsPhones = this.asks.has('PHONE_NUMBER');
    this.#wantsIps = this.asks.has('IP_ADDRESS');
    this.#wantsIbans = this.asks.has('IBAN_CODE');
  }

  /** Every entity in the text, none overlapping. `key` names what the text is a value of; its words count as context. */
  spans(text: string, key: string | undefined): readonly Span[] {
    const folded = this.folding.fold(text);
    const read = folded?.text ?? text;
    const spans = this.#collector.begin(read, key);
    this.#recognise(read);
    for (const custom of this.customs) matches(custom, read, spans);
    if (folded === undefined) return withoutOverlaps(spans);
    const original = spans.map((span) => ({
      ...span,
      start: folded.starts[span.start] as number,
      end: folded.ends[span.end - 1] as number,
    }));
    for (const custom of this.customs) if (custom.regex !== undefined) matches(custom, text, original);
    return withoutOverlaps(original);
  }

  /** What the rules' own expressions find in the text as it stands. */
  regexSpans(text: string): readonly Span[] {
    const spans: Span[] = [];
    for (const custom of this.customs) if (custom.regex !== undefined) matches(custom, text, spans);
    return withoutOverlaps(spans);
  }

  /** Runs what may begin at `at`, and returns the index of the next unit to look at. */
  look(text: string, at: number, trigger: number, sink: Sink): number {
    switch (trigger) {
      case DIGIT:
        return this.#digits(text, at, sink);
      case COLON:
        this.#ipv6.look(text, at, sink);
        return at + 1;
      case AT:
        email(text, at, sink);
        return at + 1;
      case CAPITAL_J:
        if (text.charCodeAt(at - 1) !== 0x79 || text.charCodeAt(at - 2) !== 0x65) return at + 1;
        return Math.max(at + 1, this.#jwt.look(text, at - 2, sink));
      default:
        if (isAccessKeyPrefix(text, at)) accessKeyId(text, at, sink);
        return at + 1;
    }
  }

  /** To be called before the first `look` at a text. */
  beginLooking(): void {
    this.#jwt.begin();
    this.#ipv6.begin();
  }

  #recognise(text: string): void {
    const sink = this.#collector;
    const triggers = this.triggers;
    this.beginLooking();
    for (let i = 0; i < text.length;) {
      const c = text.charCodeAt(i);
      const trigger = c < 128 ? (triggers[c] as number) : NOTHING;
      i = trigger === NOTHING ? i + 1 : this.look(text, i, trigger, sink);
    }
    if (sink.wants('PRIVATE_KEY')) privateKeys(text, sink);
    if (sink.wants('AWS_ACCESS_KEY')) secretKeys(text, sink);
  }

  #digits(text: string, at: number, sink: Sink): number {
    const groups = this.#groups;
    const end = groups.read(text, at);
    if (groups.digits >= 7) {
      if (groups.digits >= 12 && this.#wantsCards) creditCards(text, groups, sink);
      if (groups.digits >= 9 && this.#wantsSsns) socialSecurityNumbers(text, groups, sink);
      if (this.#wantsPhones) phoneNumbers(text, groups, sink);
    }
    if (groups.count >= 4 && this.#wantsIps) ipv4(text, groups, sink);
    if (this.#wantsIbans && isDigit(text.charCodeAt(at + 1)) && isLetter(text.charCodeAt(at - 1))) {
      this.#iban(text, at - 2, sink);
    }
    return end;
  }

  #fillTriggers(): void {
    const numeric = (['PHONE_NUMBER', 'CREDIT_CARD', 'US_SSN', 'IBAN_CODE', 'IP_ADDRESS'] as const).some((type) =>
      this.asks.has(type),
    );
    if (numeric) this.triggers.fill(DIGIT, 0x30, 0x3a);
    if (this.asks.has('IP_ADDRESS')) this.triggers[0x3a] = COLON;
    if (this.asks.has('EMAIL_ADDRESS')) this.triggers[0x40] = AT;
    if (this.asks.has('JWT')) this.triggers[0x4a] = CAPITAL_J;
    if (this.asks.has('AWS_ACCESS_KEY')) this.triggers[0x41] = CAPITAL_A;
  }
}

function collectAsks(documents: readonly MaskingDocument[]): ReadonlyMap<BuiltInType, readonly Ask[]> {
  const asks = new Map<BuiltInType, Ask[]>();
  for (const document of documents) {
    const names = new Set(document.supported_entity_types?.flatMap((group) => group.entity_types));
    for (const type of BUILT_IN_TYPES) {
      if (!names.has(type)) continue;
      const ask = { rule: document.name, threshold: document.score_threshold ?? DEFAULT_THRESHOLD };
      const known = asks.get(type);
      if (known === undefined) asks.set(type, [ask]);
      else known.push(ask);
    }
  }
  return asks;
}

function matches({ entity, rule, score, regex, words }: CustomMatcher, text: string, spans: Span[]): void {
  if (regex?.test(text) === true) {
    const matcher = regex.matcher(text);
    while (matcher.find()) {
      const span = { start: matcher.start(), end: matcher.end(), score, entity, rule };
      if (span.end > span.start) spans.push(span);
    }
  }
  if (words !== undefined) {
    for (const match of text.matchAll(words)) {
      spans.push({ start: match.index, end: match.index + match[0].length, score, entity, rule });
    }
  }
}
