import type { MaskingDocument } from '../documents.ts';
import { isDigit, isLetter } from './characters.ts';
import { Collector } from './collector.ts';
import { compileCustom } from './custom.ts';
import type { CustomMatcher } from './custom.ts';
import { DASH, DOT, DigitGroups } from './digits.ts';
import { DEFAULT_THRESHOLD, builtInType, withoutOverlaps } from './entities.ts';
import type { Ask, BuiltInType, Sink, Span } from './entities.ts';
import { Folding } from './fold.ts';
import { ApiKeyRecogniser } from './recognisers/api-key.ts';
import { accessKeyId, isAccessKeyPrefix, secretKeys } from './recognisers/aws-access-key.ts';
import { creditCards } from './recognisers/credit-card.ts';
import { datesAndTimes } from './recognisers/date-time.ts';
import { email } from './recognisers/email.ts';
import { SecretRecogniser } from './recognisers/generic-secret.ts';
import { compileIban } from './recognisers/iban-code.ts';
import { IdentityTokens } from './recognisers/identity-tokens.ts';
import { Ipv6Recogniser, ipv4 } from './recognisers/ip-address.ts';
import { JwtRecogniser } from './recognisers/jwt.ts';
import { compileLetteredForms } from './recognisers/lettered-forms.ts';
import type { LetteredForms } from './recognisers/lettered-forms.ts';
import { macAddress } from './recognisers/mac-address.ts';
import { compileNationalNumbers } from './recognisers/national-numbers.ts';
import type { NationalNumbers } from './recognisers/national-numbers.ts';
import { phoneNumbers } from './recognisers/phone-number.ts';
import { privateKeys } from './recognisers/private-key.ts';
import { UrlRecogniser } from './recognisers/url.ts';
import { socialSecurityNumbers } from './recognisers/us-ssn.ts';

/** What may begin at a unit of text. */
export const NOTHING = 0;
export const DIGIT = 1;
export const COLON = 2;
export const AT = 3;
export const CAPITAL_J = 4;
export const CAPITAL_A = 5;
/** A hyphen or a full stop, which keys, hardware addresses and `www` have. */
export const SEAM = 6;
/** An underscore or an equals sign, behind which a key may begin. */
export const PREFIX = 7;

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
  readonly #urls = new UrlRecogniser();
  readonly #apiKeys = new ApiKeyRecogniser();
  readonly #secrets = new SecretRecogniser();
  readonly #tokens: IdentityTokens;
  readonly #nationals: NationalNumbers | undefined;
  readonly #forms: LetteredForms | undefined;
  readonly #collector: Collector;
  readonly #wants: Wants;

  constructor(documents: readonly MaskingDocument[]) {
    this.asks = collectAsks(documents);
    this.customs = documents.flatMap((document) =>
      (document.custom_entity_types ?? []).flatMap((entity) =>
        compileCustom(entity, document.name, document.score_threshold ?? DEFAULT_THRESHOLD, this.folding),
      ),
    );
    this.#collector = new Collector(this.asks);
    const wants = (type: BuiltInType): boolean => this.asks.has(type);
    this.#tokens = new IdentityTokens(wants);
    this.#nationals = compileNationalNumbers(wants);
    this.#forms = compileLetteredForms(wants);
    this.#wants = wanted(wants, this.#tokens.active, this.#forms !== undefined, this.#nationals !== undefined);
    this.#fillTriggers();
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
        if (this.#wants.ips) this.#ipv6.look(text, at, sink);
        if (this.#wants.macs) macAddress(text, at, sink);
        if (this.#wants.urls) this.#urls.look(text, at, sink);
        return at + 1;
      case SEAM:
        this.#seam(text, at, sink);
        return at + 1;
      case PREFIX:
        this.#apiKeys.look(text, at, sink);
        return at + 1;
      case AT:
        email(text, at, sink);
        return at + 1;
      case CAPITAL_J:
        if (text.charCodeAt(at - 1) !== 0x79 || text.charCodeAt(at - 2) !== 0x65) return at + 1;
        return Math.max(at + 1, this.#jwt.look(text, at - 2, sink));
      default:
        if (this.#wants.awsKeys && isAccessKeyPrefix(text, at)) accessKeyId(text, at, sink);
        else if (this.#wants.apiKeys && text.charCodeAt(at + 1) === 0x49) this.#apiKeys.look(text, at, sink);
        return at + 1;
    }
  }

  #seam(text: string, at: number, sink: Sink): void {
    const { macs, apiKeys, urls } = this.#wants;
    const dot = text.charCodeAt(at) === DOT;
    if (macs && text.charCodeAt(at + (dot ? 5 : 3)) === (dot ? DOT : DASH)) macAddress(text, at, sink);
    if (dot) {
      if (urls) this.#urls.lookWeb(text, at, sink);
    } else if (apiKeys) this.#apiKeys.look(text, at, sink);
  }

  /** To be called before the first `look` at a text. */
  beginLooking(): void {
    this.#jwt.begin();
    this.#ipv6.begin();
    this.#urls.begin();
    this.#apiKeys.begin();
    this.#secrets.begin();
    this.#tokens.begin();
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
    const wants = this.#wants;
    if (groups.digits >= 7) {
      if (groups.digits >= 12 && wants.cards) creditCards(text, groups, sink);
      if (groups.digits >= 9 && wants.ssns) socialSecurityNumbers(text, groups, sink);
      if (wants.phones) phoneNumbers(text, groups, sink);
      if (groups.digits >= 8 && this.#nationals !== undefined) this.#nationals(text, groups, sink);
    }
    if (groups.count >= 4 && wants.ips) ipv4(text, groups, sink);
    if (wants.ibans && isDigit(text.charCodeAt(at + 1)) && isLetter(text.charCodeAt(at - 1))) {
      this.#iban(text, at - 2, sink);
    }
    if (wants.words) this.#words(text, sink);
    if (wants.dates) datesAndTimes(text, groups, sink);
    return end;
  }

  /** What mixes letters with the digits of the groups. */
  #words(text: string, sink: Sink): void {
    const groups = this.#groups;
    const { secrets, tokens } = this.#wants;
    for (let g = 0; g < groups.count; g += 1) {
      if (tokens) this.#tokens.look(text, groups.start(g), groups.end(g), sink);
      if (secrets) this.#secrets.look(text, groups.start(g), sink);
    }
    if (this.#forms !== undefined) this.#forms(text, groups, sink);
  }

  #fillTriggers(): void {
    const { numeric, ips, macs, urls, emails, jwts, awsKeys, apiKeys } = this.#wants;
    const on = (char: string, trigger: number): void => void (this.triggers[char.charCodeAt(0)] = trigger);
    if (numeric) this.triggers.fill(DIGIT, 0x30, 0x3a);
    if (ips || macs || urls) on(':', COLON);
    if (emails) on('@', AT);
    if (jwts) on('J', CAPITAL_J);
    if (awsKeys || apiKeys) on('A', CAPITAL_A);
    if (macs || urls) on('.', SEAM);
    if (macs || apiKeys) on('-', SEAM);
    if (apiKeys) {
      on('_', PREFIX);
      on('=', PREFIX);
    }
  }
}

/** The questions asked at every trigger, answered once. */
interface Wants {
  readonly cards: boolean;
  readonly ssns: boolean;
  readonly phones: boolean;
  readonly ips: boolean;
  readonly macs: boolean;
  readonly urls: boolean;
  readonly ibans: boolean;
  readonly emails: boolean;
  readonly jwts: boolean;
  readonly awsKeys: boolean;
  readonly apiKeys: boolean;
  readonly dates: boolean;
  readonly secrets: boolean;
  readonly tokens: boolean;
  /** Types whose letters stand among or beside digits. */
  readonly words: boolean;
  /** Anything that a digit may begin. */
  readonly numeric: boolean;
}

function wanted(wants: (type: BuiltInType) => boolean, tokens: boolean, forms: boolean, nationals: boolean): Wants {
  const cards = wants('CREDIT_CARD');
  const ssns = wants('US_SSN');
  const phones = wants('PHONE_NUMBER');
  const ips = wants('IP_ADDRESS');
  const ibans = wants('IBAN_CODE');
  const dates = wants('DATE_TIME');
  const secrets = wants('PASSWORD') || wants('GENERIC_SECRET');
  const words = secrets || tokens || forms;
  return {
    cards,
    ssns,
    phones,
    ips,
    macs: wants('MAC_ADDRESS'),
    urls: wants('URL'),
    ibans,
    emails: wants('EMAIL_ADDRESS'),
    jwts: wants('JWT'),
    awsKeys: wants('AWS_ACCESS_KEY'),
    apiKeys: wants('API_KEY'),
    dates,
    secrets,
    tokens,
    words,
    numeric: cards || ssns || phones || ips || ibans || dates || nationals || words,
  };
}

function collectAsks(documents: readonly MaskingDocument[]): ReadonlyMap<BuiltInType, readonly Ask[]> {
  const asks = new Map<BuiltInType, Ask[]>();
  for (const document of documents) {
    const names = document.supported_entity_types?.flatMap((group) => group.entity_types) ?? [];
    for (const type of new Set(names.map(builtInType))) {
      if (type === undefined) continue;
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
