import { createHash } from 'node:crypto';
import { canonical } from '../json/canonical.ts';
import { fold } from '../normalise.ts';
import type { JsonObject } from '../types.ts';
import { diffDefinitions, type DiffClass } from './diff.ts';
import { suspicionsIn } from './suspicion.ts';

/** `pending`: never accepted. `changed`: not what was accepted. `rejected`: an administrator said no. */
export type PinState = 'trusted' | 'pending' | 'changed' | 'rejected';
export type PinKind = 'tool' | 'server';

export interface Definition {
  readonly fingerprint: string;
  /** Canonical JSON in the form that may be stored. */
  readonly text: string;
}

/** What a connection's tool, or its server, is known to be. */
export interface Pin {
  readonly id: string;
  readonly connection: string;
  readonly kind: PinKind;
  /** The tool's name, or the method by which the server told who it is; in the form that may be stored. */
  readonly name: string;
  readonly state: PinState;
  /** Of the difference between what is trusted and what was seen. */
  readonly class?: DiffClass;
  readonly note?: string;
  readonly trusted?: Definition;
  /** What was seen and is not trusted. */
  readonly candidate?: Definition;
  readonly firstSeen: number;
  /** When the newest definition was seen first. */
  readonly seenAt: number;
  readonly decidedAt?: number;
  readonly decidedBy?: string;
}

/** A definition that an upstream showed. */
export interface Sight extends Definition {
  readonly id: string;
  readonly connection: string;
  readonly kind: PinKind;
  readonly name: string;
  readonly at: number;
  /** What becomes of a tool that was never seen. */
  readonly firstSight: 'trust_first' | 'require_review';
  /** The trusted tool whose name this one's could be taken for. */
  readonly like?: string;
}

/** Longer definitions are known by their fingerprint alone. */
const MOST_TEXT = 256 * 1024;

export function pinId(connection: string, kind: PinKind, name: string): string {
  const hash = createHash('sha256').update(JSON.stringify([connection, kind, name]));
  return `pin_${hash.digest('hex').slice(0, 32)}`;
}

/** The fingerprint of a definition's JSON text: the same however its keys are ordered, spaced or escaped. */
export function fingerprintOf(text: string): string {
  return createHash('sha256').update(canonical(text)).digest('hex');
}

/** A definition as it is kept, given how texts are made fit for the record. */
export function storable(text: string, redact: (json: string) => string): string {
  const kept = canonical(redact(text));
  return kept.length <= MOST_TEXT ? kept : JSON.stringify({ too_large_to_keep: kept.length });
}

/** Names that readers take for each other have the same fold, whatever stands between their words. */
export const nameFold = (name: string): string => fold(name).replace(/[\s._\-/:]+/g, '');

/** The state after a sight; undefined when it tells nothing new. What is not trusted stays so until somebody decides. */
export function stateAfter(
  pin: (Pick<Pin, 'state'> & { readonly known: readonly string[] }) | undefined,
  sight: Pick<Sight, 'fingerprint' | 'firstSight' | 'like'>,
): PinState | undefined {
  if (pin === undefined) {
    if (sight.like !== undefined) return 'changed';
    return sight.firstSight === 'trust_first' ? 'trusted' : 'pending';
  }
  if (pin.known.includes(sight.fingerprint)) return undefined;
  return pin.state === 'pending' ? 'pending' : 'changed';
}

/** The fingerprints that a pin knows: trusted, then seen. */
export const knownOf = ({ trusted, candidate }: Pick<Pin, 'trusted' | 'candidate'>): readonly string[] =>
  [trusted?.fingerprint, candidate?.fingerprint].filter((each) => each !== undefined);

/** The pin after a sight; undefined when it tells nothing new. `twins`: the trusted tools of the connection, by `shapeOf`. */
export function afterSight(pin: Pin | undefined, sight: Sight, twins: ReadonlyMap<string, string>): Pin | undefined {
  const state = stateAfter(pin === undefined ? undefined : { state: pin.state, known: knownOf(pin) }, sight);
  if (state === undefined) return undefined;
  const definition: Definition = { fingerprint: sight.fingerprint, text: sight.text };
  const { id, connection, kind, name, at } = sight;
  if (pin === undefined) {
    const note =
      sight.like === undefined ? renameNote(sight, twins) : `its name can be taken for ${sight.like}, a trusted tool`;
    const suspect = sight.like !== undefined || suspicionsIn(sight.text.replaceAll('\\n', '\n')).size > 0;
    return {
      id,
      connection,
      kind,
      name,
      state,
      firstSeen: at,
      seenAt: at,
      ...(suspect ? { class: 'risky' as const } : {}),
      ...(note === undefined ? {} : { note }),
      ...(state === 'trusted' ? { trusted: definition } : { candidate: definition }),
    };
  }
  const { class: _, note: __, candidate: ___, ...kept } = pin;
  const reference = pin.trusted ?? pin.candidate;
  // What is kept is the same: the difference is in what the record masks, such as an address.
  const unseen = reference?.text === sight.text ? { note: 'only parts that the record masks are different' } : {};
  const sure = reference !== undefined && reference.text !== sight.text;
  const difference = sure ? diffDefinitions(reference.text, sight.text).class : 'risky';
  return { ...kept, ...unseen, state, class: difference, candidate: definition, seenAt: at };
}

/** The pin once the definition with this fingerprint is trusted; undefined when it is not one of the pin's. */
export function afterAccept(pin: Pin, fingerprint: string, at: number, by: string): Pin | undefined {
  const chosen = [pin.candidate, pin.trusted].find((each) => each?.fingerprint === fingerprint);
  if (chosen === undefined) return undefined;
  const { class: _, note: __, candidate: ___, ...kept } = pin;
  return { ...kept, state: 'trusted', trusted: chosen, decidedAt: at, decidedBy: by };
}

/** The pin once the definition with this fingerprint is refused; undefined when it is not the newest one of the pin. */
export function afterReject(pin: Pin, fingerprint: string, at: number, by: string): Pin | undefined {
  const newest = pin.candidate ?? pin.trusted;
  if (newest?.fingerprint !== fingerprint) return undefined;
  const { trusted, ...rest } = pin;
  const before = pin.candidate === undefined || trusted === undefined ? {} : { trusted };
  return { ...rest, ...before, state: 'rejected', candidate: newest, decidedAt: at, decidedBy: by };
}

/** A new tool that is a known one under another name. */
function renameNote(sight: Sight, twins: ReadonlyMap<string, string>): string | undefined {
  if (sight.kind !== 'tool' || twins.size === 0) return undefined;
  const twin = twins.get(shapeOf(sight.text) ?? '');
  return twin === undefined ? undefined : `the same definition as ${twin}, under another name`;
}

/** A definition without its name; undefined for one that says too little to be known again. */
export function shapeOf(text: string): string | undefined {
  const { name: _, ...rest } = JSON.parse(text) as JsonObject;
  if (typeof rest['description'] !== 'string' || rest['description'] === '') return undefined;
  return createHash('sha256').update(JSON.stringify(rest)).digest('hex');
}
