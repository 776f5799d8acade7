import { BUILT_IN_TYPES } from '../policies/masking/entities.ts';
import type { BuiltInType } from '../policies/masking/entities.ts';
import { createMasker } from '../policies/masking/masker.ts';
import type { Sample } from './masking-sentences.ts';

export interface Quality {
  readonly type: BuiltInType;
  readonly samples: number;
  readonly recall: number;
  readonly precision: number;
}

export interface Measured {
  readonly types: readonly Quality[];
  /** What went wrong, for whoever wants to mend it. */
  readonly wrong: readonly { readonly value: unknown; readonly out: unknown }[];
}

/**
 * Masks every sample with all types on. An entity is found when the answer is exactly the expected one, or names its type as often as
 * expected and keeps the text around it; every other name is a false one.
 */
export function measure(samples: readonly Sample[]): Measured {
  const masker = createMasker([
    { name: 'all', supported_entity_types: [{ name: 'ALL', entity_types: [...BUILT_IN_TYPES] }] },
  ]);
  const counts = new Map(BUILT_IN_TYPES.map((type) => [type, { samples: 0, found: 0, named: 0 }]));
  const wrong: { value: unknown; out: unknown }[] = [];
  for (const { value, expected, types } of samples) {
    const message = JSON.stringify({ jsonrpc: '2.0', id: 1, result: { structuredContent: { value } } });
    const out = JSON.parse(masker.mask(message).json).result.structuredContent.value;
    const exact = JSON.stringify(out) === JSON.stringify(expected);
    if (!exact) wrong.push({ value, out });
    for (const type of types) {
      const count = counts.get(type);
      if (count === undefined) continue;
      count.samples += 1;
      if (exact) count.found += 1;
    }
    for (const [, name] of JSON.stringify(out).matchAll(/<([A-Z_]+)>/g)) {
      const count = counts.get(name as BuiltInType);
      if (count !== undefined) count.named += 1;
    }
  }
  const types = [...counts].map(([type, { samples: all, found, named }]) => ({
    type,
    samples: all,
    recall: found / Math.max(1, all),
    precision: named === 0 ? 1 : found / named,
  }));
  return { types, wrong };
}
