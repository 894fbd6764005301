import { globSync } from 'node:fs';
import { attributeOf, type BusDevice } from '../sys/bus-device.ts';

/**
 * Names of a bus device's RDMA devices in whatever namespace they are. `infiniband/` shows only those of the namespace
 * that sysfs was mounted in; the character devices of verbs programs are shown everywhere, and name theirs.
 *
 * @returns none where the module `ib_uverbs` is not loaded
 */
export function rdmaNamesAnywhere(device: BusDevice): readonly string[] {
  const files = globSync('infiniband_verbs/*/ibdev', { cwd: device.folder });
  return [...new Set(files.flatMap((path) => attributeOf(device, path) ?? []))].sort();
}

/** Modules that make RDMA devices, by the driver of the function: they are loaded apart from it. */
const RDMA_MODULES: Readonly<Record<string, string>> = {
  mlx5_core: 'mlx5_ib',
  mlx4_core: 'mlx4_ib',
  ice: 'irdma',
  i40e: 'irdma',
  bnxt_en: 'bnxt_re',
  cxgb4: 'iw_cxgb4',
  qede: 'qedr',
  hns3: 'hns_roce_hw_v2',
  mana: 'mana_ib',
};

/** The module that makes RDMA devices for functions of a driver; undefined when we know of none. */
export const rdmaModuleOf = (driver: string): string | undefined => RDMA_MODULES[driver];
