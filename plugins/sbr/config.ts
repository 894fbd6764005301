import { type Conf, integer, networkConf } from '../../lib/cni/config.ts';
import { type JsonObject, lookUp } from '../../lib/cni/json.ts';

const HIGHEST_TABLE = 2 ** 32 - 1;

export const SbrConf = networkConf({
  table: integer(
    "Number of a routing table that the interface's routes are in already, by `table` of their IPAM plugin: only rules are made. Default: for each address the first table from 100 on that nothing uses, and the routes of the main table go there.",
    { min: 1, max: HIGHEST_TABLE },
  ),
});
export type SbrConf = Conf<typeof SbrConf>;

/** The table of the configuration. */
export const tableOf = ({ table }: SbrConf): number | undefined => table || undefined;

/** The same for DEL, for which an invalid one counts as absent. */
export function tableIn(document: JsonObject): number | undefined {
  const table = lookUp(document, 'table');
  return typeof table === 'number' && Number.isInteger(table) && table > 0 && table <= HIGHEST_TABLE
    ? table
    : undefined;
}
