import { writeFileSync } from 'node:fs';
import { NODE_OPTIONS, placesIn, readNode } from '../../lib/cli/node.ts';
import { readOptions } from '../../lib/cli/options.ts';
import { table } from '../../lib/cli/table.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { formatIp } from '../../lib/net/ip.ts';
import { ioError } from '../../lib/sys/io-error.ts';
import { mapOf } from './pool-map.ts';
import { svgOf } from './pool-svg.ts';
import type { PoolView } from './pool-view.ts';
import { confsFor } from './stores.ts';
import { selectViews, viewsOf } from './views.ts';

/** With more pools than this only one that is named is drawn. */
const FEW = 4;

/** `braid ipam show` */
export async function show(args: readonly string[], scope: Scope, print: (line: string) => void): Promise<number> {
  const { values, positionals } = readOptions(
    args,
    {
      ...NODE_OPTIONS,
      'data-dir': { type: 'string', multiple: true, default: [] },
      svg: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
    1,
  );
  const { confs } = await readNode(scope, { ...placesIn(values), confs: confsFor(values['data-dir']) });
  const { views, faults } = await viewsOf(scope, confs);
  for (const fault of faults) {
    scope.log(fault);
  }
  const pools = selectViews(views, positionals[0]);
  if (values.svg !== undefined) {
    writeSvg(values.svg, pools);
  }
  if (values.json) {
    print(JSON.stringify(pools.map(asJson), null, 2));
  } else {
    printPools(pools, print);
  }
  return faults.length > 0 ? 1 : 0;
}

function printPools(pools: readonly PoolView[], print: (line: string) => void): void {
  if (pools.length === 0) {
    print('no address pools on this node');
    return;
  }
  const head = ['POOL', 'RANGE', 'ADDRESSES', 'TAKEN', 'STATIC', 'EXCLUDED', 'FREE', 'USED'];
  const rows = pools.map(({ name, pool, counts }) => [
    name,
    pool.range,
    String(counts.addresses),
    String(counts.taken),
    String(counts.static),
    String(counts.excluded),
    String(counts.free),
    used(counts),
  ]);
  for (const line of table(head, rows)) {
    print(line);
  }
  for (const view of pools.length <= FEW ? pools : []) {
    print('');
    for (const line of mapOf(view)) {
      print(line);
    }
  }
  if (pools.length > FEW) {
    print('');
    print('"braid ipam show POOL" draws one of them');
  }
}

/** Of what may be handed out, in percent. */
function used({ taken, free }: PoolView['counts']): string {
  return taken + free === 0n ? '-' : `${(taken * 100n) / (taken + free)} %`;
}

function asJson({ name, place, pool, counts, taken, statics, allowed }: PoolView) {
  const { family } = pool.cidr.ip;
  const ip = (value: bigint): string => formatIp({ family, value });
  return {
    pool: name,
    range: pool.range,
    dataDir: place.dataDir,
    networkName: place.networkName,
    counts: Object.fromEntries(Object.entries(counts).map(([key, value]) => [key, String(value)])),
    handedOut: allowed.map(({ first, last }) => ({ first: ip(first), last: ip(last) })),
    taken: [...taken].map(([value, entry]) => ({ address: ip(value), ...entry })),
    static: statics.map(ip),
  };
}

function writeSvg(path: string, pools: readonly PoolView[]): void {
  try {
    writeFileSync(path, svgOf(pools));
  } catch (error) {
    throw ioError('write', path, error);
  }
}
