import type * as z from 'zod/mini';
import type { Schema } from './config.ts';

/** The keys of an object that a schema reads, by name in lower case. */
export type KnownKeys = ReadonlyMap<string, KnownKey>;

export interface KnownKey {
  /** as the schema spells it */
  readonly name: string;
  /** keys of the object, or of the objects in the list, that it holds; undefined where any key is allowed */
  readonly below: KnownKeys | undefined;
}

/** The keys that a schema reads; undefined where any key is allowed. */
export const keysOf = (schema: Schema<unknown>): KnownKeys | undefined => keysIn(schema as unknown as z.core.$ZodTypes);

function keysIn(schema: z.core.$ZodTypes): KnownKeys | undefined {
  const { def } = schema._zod;
  switch (def.type) {
    case 'object':
      return new Map(
        Object.entries(def.shape).map(([name, value]) => [
          name.toLowerCase(),
          { name, below: keysIn(value as z.core.$ZodTypes) },
        ]),
      );
    case 'array':
      return keysIn(def.element as z.core.$ZodTypes);
    case 'default':
    case 'nullable':
    case 'optional':
      return keysIn(def.innerType as z.core.$ZodTypes);
    case 'pipe': {
      // the input of one of our transformations is the schema as written
      const isRead = def.out._zod.def.type === 'transform';
      return keysIn((isRead ? def.in : def.out) as z.core.$ZodTypes);
    }
    default:
      return undefined;
  }
}

/** The keys of both. */
export function mergedKeys(one: KnownKeys, other: KnownKeys): KnownKeys {
  const merged = new Map(one);
  for (const [key, { name, below }] of other) {
    const known = merged.get(key);
    const both =
      known?.below === undefined || below === undefined ? (known?.below ?? below) : mergedKeys(known.below, below);
    merged.set(key, { name: known?.name ?? name, below: both });
  }
  return merged;
}
