import type { JsonObject } from '../../../lib/cni/json.ts';
import { type Cidr, contains, formatCidr, lastAddress, masked, networkOf, parseCidr } from '../../../lib/net/cidr.ts';
import { bitsOf, formatIp, parseIp } from '../../../lib/net/ip.ts';
import type { Span } from '../spans.ts';
import { prefixesOf, sliceFor, spanOf, within } from './blocks.ts';
import type { NvCidrPool, NvIpPool, NvPool } from './objects.ts';

/** How whereabouts is configured to give the same addresses. */
export interface Equivalent {
  readonly pool: string;
  readonly kind: NvPool['kind'];
  /** for all nodes */
  readonly ipam: JsonObject;
  /** for each node that has something now, where one configuration for all is not the same */
  readonly perNode: readonly { readonly node: string; readonly ipam: JsonObject }[];
  /** what is different */
  readonly notes: readonly string[];
}

/** @throws Error when the pool's own texts make no sense */
export const equivalentOf = (pool: NvPool): Equivalent => (pool.kind === 'IPPool' ? ofBlocks(pool) : ofPrefixes(pool));

const NO_SELECTOR = 'nodeSelector has no counterpart: only nodes that may have addresses get pods of the network';

/** @throws Error */
function cidrOf(text: string, pool: string): Cidr {
  const cidr = parseCidr(text);
  if (cidr === undefined) {
    throw new Error(`cannot use pool "${pool}": "${text}" is no CIDR`);
  }
  return masked(cidr);
}

const wholeOf = (cidr: Cidr): Span => ({ first: networkOf(cidr).value, last: lastAddress(cidr).value });

function ofBlocks({ metadata: { name }, spec, status }: NvIpPool): Equivalent {
  const cidr = cidrOf(spec.subnet, name);
  const { family } = cidr.ip;
  const size = sliceFor(family, spec.perNodeBlockSize);
  const isSliced = size > cidr.prefix;
  const blocks = (status?.allocations ?? []).flatMap(({ startIP, endIP }) => spanOf(startIP, endIP) ?? []);
  const excluded = [
    ...excludedIn(spec, cidr),
    ...blocks.flatMap((block) => indexed(spec, block.first).flatMap((span) => within(span, block))),
  ];
  return {
    pool: name,
    kind: 'IPPool',
    ipam: ipamOf(name, spec, {
      range: formatCidr(cidr),
      ...excludeOf(cidr, excluded, [spec.gateway]),
      ...(spec.gateway === '' ? {} : { gateway: spec.gateway }),
      ...(isSliced ? { node_slice_size: `/${size}` } : {}),
    }),
    perNode: [],
    notes: [
      ...(isSliced
        ? [
            `nodes get slices of /${size} instead of blocks of ${spec.perNodeBlockSize} addresses, and other addresses than before: import what running pods have (--reservations); without node_slice_size all nodes share the range`,
          ]
        : []),
      ...selectorNote(spec),
      ...(spec.perNodeExclusions.length > 0 ? ['perNodeExclusions are those of the blocks that nodes have now'] : []),
    ],
  };
}

function ofPrefixes({ metadata: { name }, spec, status }: NvCidrPool): Equivalent {
  const cidr = cidrOf(spec.cidr, name);
  const given = [...(status?.allocations ?? []), ...spec.staticAllocations.filter(({ nodeName }) => nodeName !== '')];
  const nodes = [...new Map(given.map((one) => [one.nodeName, one])).values()].map((one) => {
    const prefix = cidrOf(one.prefix, name);
    return { node: one.nodeName, prefix, gateway: one.gateway || gatewayOf(prefix, spec.gatewayIndex ?? undefined) };
  });
  const ownExcluded = (prefix: Cidr): readonly Span[] =>
    indexed(spec, networkOf(prefix).value).flatMap((span) => within(span, wholeOf(prefix)));
  const small = bitsOf(cidr.ip.family) - spec.perNodeNetworkPrefix < 2 ? { small_subnets: true } : {};
  return {
    pool: name,
    kind: 'CIDRPool',
    ipam: ipamOf(name, spec, {
      range: formatCidr(cidr),
      ...excludeOf(
        cidr,
        [...excludedIn(spec, cidr), ...nodes.flatMap(({ prefix }) => ownExcluded(prefix))],
        nodes.map(({ gateway }) => gateway),
      ),
      node_slice_size: `/${spec.perNodeNetworkPrefix}`,
      ...small,
    }),
    perNode: nodes.map(({ node, prefix, gateway }) => ({
      node,
      ipam: ipamOf(name, spec, {
        range: formatCidr(prefix),
        ...excludeOf(prefix, [...excludedIn(spec, prefix), ...ownExcluded(prefix)], [gateway]),
        ...(gateway === '' ? {} : { gateway }),
        ...small,
      }),
    })),
    notes: [
      ...(nodes.some(({ gateway }) => gateway !== '') || spec.gatewayIndex !== undefined
        ? [
            'one configuration has one gateway, and here each node has its own: give each node the configuration that is named for it',
          ]
        : []),
      ...(spec.staticAllocations.length > 0
        ? [
            'slices are given to nodes in their order: a node that must keep its prefix needs the configuration that is named for it',
          ]
        : []),
      ...selectorNote(spec),
    ],
  };
}

/** NVIDIA's plugin counts from the first address of a node's prefix, which it never takes unless the prefix has no other. */
function gatewayOf(prefix: Cidr, index: number | undefined): string {
  const isTiny = bitsOf(prefix.ip.family) - prefix.prefix < 2;
  if (index === undefined || (index === 0 && !isTiny)) {
    return '';
  }
  const ip = { family: prefix.ip.family, value: networkOf(prefix).value + BigInt(index) };
  return contains(prefix, ip) ? formatIp(ip) : '';
}

type Spec = NvPool['spec'];

const selectorNote = ({ nodeSelector }: Spec): readonly string[] =>
  nodeSelector === undefined || nodeSelector === null ? [] : [NO_SELECTOR];

const excludedIn = ({ exclusions }: Spec, of: Cidr): readonly Span[] =>
  exclusions.flatMap(({ startIP, endIP }) => {
    const span = spanOf(startIP, endIP);
    return span === undefined || span.family !== of.ip.family ? [] : within(span, wholeOf(of));
  });

const indexed = ({ perNodeExclusions }: Spec, base: bigint): readonly Span[] =>
  perNodeExclusions.map(({ startIndex, endIndex }) => ({
    first: base + BigInt(startIndex),
    last: base + BigInt(endIndex),
  }));

/** A gateway is excluded where pods could get it: whereabouts reserves none. */
function excludeOf({ ip: { family } }: Cidr, spans: readonly Span[], gateways: readonly string[]) {
  const own = gateways.flatMap((text) => parseIp(text) ?? []);
  const all = [...own.map(({ value }) => ({ first: value, last: value })), ...spans];
  const exclude = [...new Set(all.flatMap((span) => prefixesOf(family, span)))];
  return exclude.length === 0 ? {} : { exclude };
}

/** Pools of NVIDIA's plugin are apart from each other, as networks with a name are. */
const ipamOf = (name: string, { routes, defaultGateway = false }: Spec, keys: JsonObject): JsonObject => {
  const { range = '' } = keys;
  const all = [
    ...(defaultGateway ? [String(range).includes(':') ? '::/0' : '0.0.0.0/0'] : []),
    ...routes.map(({ dst }) => dst),
  ];
  return {
    type: 'whereabouts',
    network_name: name,
    ...keys,
    ...(all.length === 0 ? {} : { routes: all.map((dst) => ({ dst })) }),
  };
};
