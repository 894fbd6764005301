import { definePlugin, type Plugin } from '../../lib/cni/plugin.ts';
import { add } from './add.ts';
import { shimService } from './agent-service.ts';
import { check, status } from './check.ts';
import { MultusConf } from './config.ts';
import { del } from './del.ts';
import { examine } from './examine.ts';
import { gc } from './gc.ts';
import { networksAtPaths, refuseUnusable } from './networks.ts';
import { listRecords, scratchFolders } from './recorded.ts';

export const multus: Plugin = definePlugin<MultusConf>({
  name: 'multus',
  about: 'multus: attaches a pod to many networks by running other plugins',
  conf: MultusConf,
  add,
  del,
  check,
  status,
  gc,
  records: listRecords,
  lockFolders: scratchFolders,
  examine,
  validate: refuseUnusable,
  networksAt: networksAtPaths,
  agentService: shimService,
});
