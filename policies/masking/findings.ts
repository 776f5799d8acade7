import type { Finding } from '../types.ts';

const MOST = 100;
const LONGEST_SEGMENT = 128;

type Counted = { -readonly [K in keyof Finding]: Finding[K] };

/** What was masked in one message: by rule, entity and place, never the value. The last of too many stands for all further ones. */
export class Findings {
  readonly #list: Counted[] = [];
  readonly #places = new Map<string, Counted[]>();

  add(rule: string, entity: string, path: string, action: 'mask' | 'error' = 'mask'): void {
    const here = this.#places.get(path);
    const known = here?.find(
      (finding) => finding.rule === rule && finding.entity === entity && finding.action === action,
    );
    if (known !== undefined) {
      known.count += 1;
      return;
    }
    const last = this.#list[MOST - 1];
    if (last !== undefined) {
      last.count += 1;
      return;
    }
    const place = this.#list.length === MOST - 1 ? '' : path;
    const finding: Counted = {
      rule,
      policy: 'masking',
      direction: 'output',
      action,
      path: place,
      entity,
      count: 1,
    };
    this.#list.push(finding);
    if (this.#list.length === MOST) return;
    if (here === undefined) this.#places.set(path, [finding]);
    else here.push(finding);
  }

  list(): readonly Finding[] {
    return this.#list;
  }
}

/** A place in a JSON text as a JSON Pointer (RFC 6901). */
export class Place {
  readonly #segments: string[] = [];

  /** A masked or overlong key is named by its position, `*`. */
  enter(segment: string): void {
    this.#segments.push(segment.length > LONGEST_SEGMENT ? '*' : segment);
  }

  leave(): void {
    this.#segments.pop();
  }

  pointer(): string {
    return this.#segments.map((segment) => `/${segment.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
  }
}
