import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../lib/cni/errors.ts';
import type { Examined, Finding } from '../../lib/cni/findings.ts';
import type { JsonObject } from '../../lib/cni/json.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { probeFolder } from '../../lib/sys/probe-folder.ts';
import { clusterConfiguredIn, configuredIn } from './configured.ts';
import type { PoolView } from './pool-view.ts';
import { allDataDirs, viewsOf } from './views.ts';

/** In percent of what may be handed out. */
const NEARLY_FULL = 90n;

/** Stores that are damaged or cannot be written, pools that are full, and ranges that nobody can have meant. */
export async function examine(scope: Scope, { confs }: Examined): Promise<readonly Finding[]> {
  const { views, faults } = await viewsOf(scope, confs);
  const inClusters = await examineClustersOf(scope, confs);
  const folders = new Set(configuredIn(confs, () => undefined).map(({ place }) => place.dataDir));
  return [
    ...faults.map(
      (text): Finding => ({
        level: 'fault',
        text,
        fix: '"braid ipam check --repair" rebuilds a damaged store from what can be proved',
      }),
    ),
    ...[...folders].flatMap(examineFolder),
    ...inClusters.findings,
    ...[...views, ...inClusters.views].flatMap(examinePool),
    ...confs.flatMap(examineRanges),
  ];
}

/** The modules about clusters are loaded where a configuration leads to one, or a journal may tell of one. */
async function examineClustersOf(scope: Scope, confs: readonly JsonObject[]) {
  const isConfigured = clusterConfiguredIn(confs, () => undefined).length > 0;
  return isConfigured || allDataDirs(confs).some((folder) => existsSync(join(folder, 'cluster.db')))
    ? (await import('./survey/examine-clusters.ts')).examineClusters(scope, confs)
    : { views: [], findings: [] };
}

/** What ADD says on stderr, where nobody looks, before any pod has such an address. */
const examineRanges = (conf: JsonObject): readonly Finding[] =>
  [...configuredIn([conf], () => undefined), ...clusterConfiguredIn([conf], () => undefined)].flatMap(({ suspects }) =>
    suspects.map(({ text, fix }) => ({
      level: 'warning' as const,
      text: `network "${String(conf['name'])}": ${text}`,
      fix,
    })),
  );

function examineFolder(folder: string): readonly Finding[] {
  try {
    probeFolder(folder);
    return [];
  } catch (error) {
    return [{ level: 'fault', text: `${messageOf(error)}: no address can be given`, fix: 'free or remount the disk' }];
  }
}

function examinePool({ name, counts: { taken, free } }: PoolView): readonly Finding[] {
  const usable = taken + free;
  const fix = 'widen the range, or look for leaks with "braid ipam check"';
  if (free === 0n) {
    return [{ level: 'fault', text: `pool "${name}" is full: all ${usable} addresses are taken`, fix }];
  }
  return taken * 100n < usable * NEARLY_FULL
    ? []
    : [{ level: 'warning', text: `pool "${name}" is nearly full: ${free} of ${usable} addresses are free`, fix }];
}
