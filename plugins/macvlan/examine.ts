import { examineParents } from '../../lib/cli/parents.ts';
import type { Examined, Finding } from '../../lib/cni/findings.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { MacvlanConf } from './config.ts';
import { MACVLAN } from './kind.ts';

/** The kernel and parents. */
export const examine = (scope: Scope, node: Examined): Promise<readonly Finding[]> =>
  examineParents(scope, node, { kind: MACVLAN.name, schema: MacvlanConf });
