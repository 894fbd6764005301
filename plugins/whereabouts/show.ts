import { writeFileSync } from 'node:fs';
import { NODE_OPTIONS, placesIn, readNode } from '../../lib/cli/node.ts';
import { readOptions } from '../../lib/cli/options.ts';
import { table } from '../../lib/cli/table.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { formatIp } from '../../lib/net/ip.ts';
import type { Env } from '../../lib/sys/execute.ts';
import { ioError } from '../../lib/sys/io-error.ts';
import { mapOf } from './pool-map.ts';
import { svgOf } from './pool-svg.ts';
import type { PoolView, ViewPlace } from './pool-view.ts';
import { confsFor } from './stores.ts';
import { clusterViews, sliceLines } from './survey/cluster-views.ts';
import { CLUSTER_OPTIONS } from './survey/clusters.ts';
import { surveyAll } from './survey/survey-all.ts';
import { selectViews, viewsOf } from './views.ts';

type Print = (line: string) => void;

/** With more pools than this only one that is named is drawn. */
const FEW = 4;

/** `braid ipam show` */
export async function show(args: readonly string[], scope: Scope, print: Print, env?: Env): Promise<number> {
  const { values, positionals } = readOptions(
    args,
    {
      ...NODE_OPTIONS,
      ...CLUSTER_OPTIONS,
      'data-dir': { type: 'string', multiple: true, default: [] },
      svg: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
    1,
  );
  const { confs } = await readNode(scope, { ...placesIn(values), confs: confsFor(values['data-dir']) });
  const onNode = await viewsOf(scope, confs);
  using inClusters = await surveyAll(scope, confs, values, env);
  const { surveys } = inClusters;
  const faults = [...onNode.faults, ...inClusters.faults];
  for (const line of [...faults, ...surveys.flatMap(({ unasked }) => unasked)]) {
    scope.log(line);
  }
  const views = [...onNode.views, ...surveys.flatMap(clusterViews)];
  const pools = faults.length > 0 && views.length === 0 ? [] : selectViews(views, positionals[0]);
  if (values.svg !== undefined) {
    writeSvg(values.svg, pools);
  }
  if (values.json) {
    print(JSON.stringify(pools.map(asJson), null, 2));
  } else if (pools.length > 0 || faults.length === 0) {
    const notes = positionals[0] === undefined ? surveys.flatMap((one) => [...sliceLines(one), ...strangeIn(one)]) : [];
    printPools(pools, notes, print);
  }
  return faults.length > 0 ? 1 : 0;
}

const strangeIn = ({ unreadable }: { readonly unreadable: readonly { readonly text: string }[] }): readonly string[] =>
  unreadable.map(({ text }) => text);

function printPools(pools: readonly PoolView[], notes: readonly string[], print: Print): void {
  if (pools.length === 0) {
    print('no address pools on this node');
    return;
  }
  const clusters = new Set(pools.map(({ place }) => clusterOf(place)));
  const head = ['POOL', 'RANGE', 'NODE', 'CLUSTER', 'ADDRESSES', 'TAKEN', 'STATIC', 'EXCLUDED', 'FREE', 'USED'];
  const rows = pools.map(({ name, place, pool, counts }) => [
    name,
    pool.range,
    place.kind === 'file' ? '' : place.node,
    clusters.size > 1 ? clusterOf(place) : '',
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
  for (const line of notes.length > 0 ? ['', ...notes] : []) {
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

const clusterOf = (place: ViewPlace): string => (place.kind === 'file' ? '' : place.kubeconfig);

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
    ...placeJson(place),
    counts: Object.fromEntries(Object.entries(counts).map(([key, value]) => [key, String(value)])),
    handedOut: allowed.map(({ first, last }) => ({ first: ip(first), last: ip(last) })),
    taken: [...taken].map(([value, entry]) => ({ address: ip(value), ...entry })),
    static: statics.map(ip),
  };
}

/** Of a store of this node its folder, of a cluster what leads there. */
function placeJson(place: ViewPlace) {
  if (place.kind === 'file') {
    return { dataDir: place.dataDir, networkName: place.networkName };
  }
  const { kubeconfig, namespace, networkName, node } = place;
  return { kubeconfig, namespace, networkName, ...(node === '' ? {} : { node }) };
}

function writeSvg(path: string, pools: readonly PoolView[]): void {
  try {
    writeFileSync(path, svgOf(pools));
  } catch (error) {
    throw ioError('write', path, error);
  }
}
