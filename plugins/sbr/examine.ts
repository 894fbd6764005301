import { messageOf } from '../../lib/cni/errors.ts';
import type { Examined, Finding } from '../../lib/cni/findings.ts';
import { type JsonObject, textIn } from '../../lib/cni/json.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { listRules } from '../../lib/link/rules.ts';
import { tableIn } from './config.ts';

/** The kernel, and tables that networks choose: each interface of a pod needs one of its own. */
export async function examine(scope: Scope, { confs }: Examined): Promise<readonly Finding[]> {
  const own = confs.filter((conf) => textIn(conf, 'type') === 'sbr');
  return own.length === 0 ? [] : [...(await kernelFindings(scope)), ...sharedTables(own)];
}

async function kernelFindings(scope: Scope): Promise<readonly Finding[]> {
  try {
    await listRules(scope.node.host.netlink);
    return [];
  } catch (error) {
    return [
      {
        level: 'fault',
        text: `pods of networks with sbr fail: this kernel has no routing by rules: ${messageOf(error)}`,
        fix: 'use a kernel with CONFIG_IP_MULTIPLE_TABLES and CONFIG_IPV6_MULTIPLE_TABLES',
      },
    ];
  }
}

/** One for each table that networks of different names have. */
export function sharedTables(confs: readonly JsonObject[]): readonly Finding[] {
  const networks = Map.groupBy(
    confs.flatMap((conf) => {
      const table = tableIn(conf);
      return table === undefined ? [] : [{ table, name: textIn(conf, 'name') }];
    }),
    ({ table }) => table,
  );
  return [...networks].flatMap(([table, users]) => {
    const names = [...new Set(users.map(({ name }) => name))];
    return names.length < 2 ? [] : [sharedFinding(table, names)];
  });
}

const sharedFinding = (table: number, names: readonly (string | undefined)[]): Finding => ({
  level: 'warning',
  text: `networks ${names.map((name) => `"${name}"`).join(', ')} use table ${table}: what a pod of several of them sends leaves by the routes of one`,
  fix: 'give each its own "table", in sbr and in the routes of its IPAM plugin, or leave it out in both',
});
