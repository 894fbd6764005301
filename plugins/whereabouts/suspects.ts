import type { IpConfig } from '../../lib/cni/result.ts';
import { formatCidr, parseCidrLenient } from '../../lib/net/cidr.ts';
import { formatIp, type Ip, parseIpLenient } from '../../lib/net/ip.ts';
import { includes } from '../../lib/net/range.ts';
import type { IpamConf } from './config.ts';
import type { ConfiguredRange } from './ranges.ts';

/** Something that a call goes on with, and that nobody can have meant. */
export interface Suspect {
  /** one phrase: what is so, and what follows */
  readonly text: string;
  readonly fix: string;
}

/** No network is larger than 10.0.0.0/8 or fd00::/8: a shorter prefix is a slip. */
const SHORTEST_PREFIX = 8;

/** Addresses that somebody has for sure. */
export interface Given extends Pick<IpamConf, 'gateway' | 'routes'> {
  readonly statics: readonly IpConfig[];
}

/** What is suspicious about ranges that can be used. */
export const suspectsIn = (given: Given, ranges: readonly ConfiguredRange[]): readonly Suspect[] =>
  ranges.flatMap((range) => [...ignoredIn(range), ...tooLarge(range), ...exposedIn(range, given)]);

const ignoredIn = ({ cidr, ignored }: ConfiguredRange): readonly Suspect[] =>
  ignored.map((bound) => ({
    text: `${bound} is ignored: it is not within what range ${formatCidr(cidr)} can give`,
    fix: 'take a bound within the range, or leave it out',
  }));

const tooLarge = ({ cidr }: ConfiguredRange): readonly Suspect[] =>
  cidr.prefix >= SHORTEST_PREFIX
    ? []
    : [
        {
          text: `range ${formatCidr(cidr)} spans other networks too: pods get addresses that belong elsewhere`,
          fix: `name the network's own prefix, ${SHORTEST_PREFIX} or longer`,
        },
      ];

/** Those that a pod may get all the same. */
function exposedIn({ cidr, window, excluded }: ConfiguredRange, given: Given): readonly Suspect[] {
  const gateways = [given.gateway, ...given.routes.map(({ gw }) => gw), ...given.statics.map(({ gateway }) => gateway)];
  const all = [
    ...gateways.map((text) => ({ what: 'gateway', text })),
    ...given.statics.map(({ address }) => ({ what: 'static address', text: address })),
  ];
  const found = new Map(
    all.flatMap(({ what, text = '' }) => {
      const ip = ipIn(text);
      return ip === undefined ? [] : [[formatIp(ip), { what, ip }] as const];
    }),
  );
  return [...found.entries()]
    .filter(([, { ip }]) => includes(window, ip) && !excluded.some((part) => includes(part, ip)))
    .map(([text, { what }]) => ({
      text: `${what} ${text} may be given to a pod: range ${formatCidr(cidr)} does not exclude it`,
      fix: `add "${text}" to "exclude" of that range${text === given.gateway ? ', or set "reserve_gateway"' : ''}`,
    }));
}

const ipIn = (text: string): Ip | undefined => parseCidrLenient(text)?.ip ?? parseIpLenient(text);
