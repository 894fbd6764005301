import type { Json, JsonObject } from '../../../lib/cni/json.ts';
import type { NetworkList } from '../../../lib/cni/network-list.ts';

/**
 * Which of the capabilities that are asked for none of a network's plugins has: what was asked for is passed to nobody.
 *
 * @param asked values by the names of capabilities: `ips`, `mac`, `portMappings`. What is empty is not asked for.
 * @returns their names, in order
 */
export const unheeded = ({ plugins }: Pick<NetworkList, 'plugins'>, asked: JsonObject): readonly string[] =>
  Object.keys(asked)
    .filter((name) => !isEmpty(asked[name]) && !plugins.some(({ capabilities }) => capabilities.includes(name)))
    .sort();

const isEmpty = (value: Json | undefined): boolean =>
  value === undefined ||
  value === null ||
  value === '' ||
  (typeof value === 'object' && Object.keys(value).length === 0);
