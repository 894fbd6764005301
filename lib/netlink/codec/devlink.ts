/** <linux/devlink.h> */
import { type AttributesOf, many, nest, raw, table, text, u8, u16 } from '../attributes.ts';

export const DEVLINK_CMD_GET = 1;
export const DEVLINK_CMD_ESWITCH_GET = 29;
export const DEVLINK_CMD_PARAM_GET = 38;
export const DEVLINK_CMD_INFO_GET = 51;

export const ESWITCH_MODES = ['legacy', 'switchdev'] as const;

/** Of a parameter that is true or false, the bytes are there (and none) when it is true. */
const ValueTable = table({ bytes: [86, raw], mode: [87, u8] });
const ValuesTable = table({ value: [85, many(nest(ValueTable, true))] });
const ParameterTable = table({ name: [81, text], type: [83, u8], values: [84, nest(ValuesTable, true)] });
const VersionTable = table({ name: [103, text], value: [104, text] });

export const DevlinkTable = table({
  bus: [1, text],
  device: [2, text],
  eswitchMode: [25, u16],
  parameter: [80, nest(ParameterTable, true)],
  parameterName: [81, text],
  running: [101, many(nest(VersionTable, true))],
});
export type DevlinkAttributes = AttributesOf<typeof DevlinkTable>;
