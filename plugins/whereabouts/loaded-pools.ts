import { formatIp, type Ip } from '../../lib/net/ip.ts';
import { includes, lowestFree, rangeFrom } from '../../lib/net/range.ts';
import type { AttachmentId, Change, Held, Holders, Pools, Search } from './pool.ts';
import { byAddress, isOf } from './pool.ts';

/** Pools whose entries have all been loaded: for stores that have no questions, only whole pools. */
export class LoadedPools implements Pools {
  /** by range, then by address */
  private readonly pools = new Map<string, Map<string, Held>>();

  constructor(held: readonly Held[]) {
    for (const one of held) {
      this.poolOf(one.range).set(formatIp(one.ip), one);
    }
  }

  ofAttachment(attachment: AttachmentId, range?: string): readonly Held[] {
    return this.matching(({ entry }) => isOf(attachment)(entry), range);
  }

  ofPod(podref: string, ifname: string, range: string): readonly Held[] {
    return this.matching(({ entry }) => entry.podref === podref && entry.ifname === ifname, range);
  }

  all(): readonly Held[] {
    return this.matching(() => true);
  }

  verify(): void {
    // loading has
  }

  networks(): readonly string[] {
    return [];
  }

  ofNetwork(network: string, range: string): readonly Held[] {
    return this.matching(({ entry }) => entry.network === network, range);
  }

  holdersOf(ip: Ip): readonly Held[] {
    return [...this.pools.values()].flatMap((pool) => pool.get(formatIp(ip)) ?? []);
  }

  holdersIn({ range, window, isAcross }: Pick<Search, 'range' | 'window' | 'isAcross'>, most: number): Holders {
    const all = this.matching(({ ip }) => includes(window, ip), isAcross ? undefined : range);
    return { some: all.slice(0, most), count: all.length };
  }

  lowestFree({ range, window, excluded, isAcross, besides, from = window.first }: Search): Ip | undefined {
    const { family } = window;
    const taken = new Set(besides.map(formatIp));
    const pools = isAcross ? [...this.pools.values()] : [this.poolOf(range)];
    const isTaken = (value: bigint): boolean => {
      const text = formatIp({ family, value });
      return taken.has(text) || pools.some((pool) => pool.has(text));
    };
    const value = lowestFree(rangeFrom(window, from), excluded, isTaken) ?? lowestFree(window, excluded, isTaken);
    return value === undefined ? undefined : { family, value };
  }

  /** What is asked next takes these as recorded. */
  apply(changes: readonly Change[]): void {
    for (const { op, range, ip, entry } of changes) {
      if (op === 'remove') {
        this.poolOf(range).delete(formatIp(ip));
      } else {
        this.poolOf(range).set(formatIp(ip), { range, ip, entry });
      }
    }
  }

  private poolOf(range: string): Map<string, Held> {
    const known = this.pools.get(range) ?? new Map<string, Held>();
    this.pools.set(range, known);
    return known;
  }

  private matching(matches: (held: Held) => boolean, range?: string): readonly Held[] {
    const pools = range === undefined ? [...this.pools.values()] : [this.poolOf(range)];
    return pools.flatMap((pool) => [...pool.values()].filter(matches)).sort(byAddress);
  }
}
