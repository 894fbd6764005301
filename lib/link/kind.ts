/**
 * A kind of links that lie on another one, as a plugin tells it. What is the same for all of them is in this folder.
 *
 * `A` is what such a link is configured with, besides its name, parent, MTU and hardware address.
 */
export interface Kind<A> {
  /** IFLA_INFO_KIND: `vlan` */
  readonly name: string;
  /** IFLA_INFO_DATA of the request that makes one */
  encode(attributes: A): readonly Uint8Array[];
  /** What the kernel says of one: each key that is here is compared with what was asked for. */
  decode(data: Buffer): { readonly [K in keyof A]?: A[K] | undefined };
  /** Every link on a parent has the parent's hardware address, which then tells none of them from another. */
  readonly sharesMac: boolean;
  /** Does the kernel make such a link with its parent's hardware address, whatever is asked for? */
  isBornWithParentMac?(attributes: A): boolean;
}

/**
 * Modes of a kind by the kernel's numbers.
 *
 * @returns the word for a number; undefined for one that no configuration can ask for
 */
export function modeOf<M extends string>(
  modes: Readonly<Record<M, number>>,
  number: number | undefined,
): M | undefined {
  return (Object.keys(modes) as M[]).find((word) => modes[word] === number);
}
