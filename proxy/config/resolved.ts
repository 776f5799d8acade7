import type { Listen } from './formats.ts';
import type { Secret } from './secret.ts';

type Camel<K extends string> = K extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<Camel<Tail>>}` : K;

/** `body_timeout` becomes `bodyTimeoutMs`, `message_size` becomes `messageSizeBytes`, `admin_groups` becomes `adminGroups`. */
type Name<K extends string, R> = R extends { format: 'time-span' }
  ? `${Camel<K>}Ms`
  : R extends { format: 'byte-size' }
    ? `${Camel<K>}Bytes`
    : Camel<K>;

type Present<P, Required> = {
  [K in keyof P]: P[K] extends { default: unknown } ? K : K extends Required ? K : never;
}[keyof P];

type RequiredKeys<R> = R extends { required: readonly (infer K)[] } ? K : never;

type Members<P, Required> = {
  readonly [K in keyof P & string as K extends Present<P, Required> ? Name<K, P[K]> : never]: Resolved<P[K]>;
} & {
  readonly [K in keyof P & string as K extends Present<P, Required> ? never : Name<K, P[K]>]?: Resolved<P[K]>;
};

/** The value that code meets for a row: defaults filled in, units and secrets resolved, names in camel case. */
export type Resolved<R> = R extends { secret: true }
  ? Secret
  : R extends { content: true }
    ? string
    : R extends { oneOf: readonly (infer Branch)[] }
      ? Resolved<Branch>
      : R extends { format: 'time-span' | 'byte-size' }
        ? number
        : R extends { format: 'listen-address' }
          ? Listen
          : R extends { const: infer Only }
            ? Only
            : R extends { enum: readonly (infer Each)[] }
              ? Each
              : R extends { type: 'string' }
                ? string
                : R extends { type: 'boolean' }
                  ? boolean
                  : R extends { type: 'integer' | 'number' }
                    ? number
                    : R extends { type: 'array'; items: infer Item }
                      ? readonly Resolved<Item>[]
                      : R extends { properties: infer P }
                        ? Members<P, RequiredKeys<R>>
                        : R extends { additionalProperties: infer Value }
                          ? Readonly<Record<string, Resolved<Value>>>
                          : never;
