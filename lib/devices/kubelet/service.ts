/** The services that a device plugin has for a kubelet, and the one that a kubelet has for it. */
import type { MethodDefinition } from '@grpc/grpc-js';
import type { Codec } from './definitions.ts';
import {
  ALLOCATE_REQUEST,
  ALLOCATED,
  DEVICES,
  EMPTY,
  INFO_REQUEST,
  NOTHING,
  OPTIONS,
  PLUGIN_INFO,
  PRE_START,
  PREFERENCE,
  PREFERENCE_REQUEST,
  REGISTER,
  REGISTRATION_STATUS,
} from './messages.ts';

const method = <I, O>(path: string, input: Codec<I>, output: Codec<O>, isStream = false): MethodDefinition<I, O> => ({
  path,
  requestStream: false,
  responseStream: isStream,
  requestSerialize: input.encode,
  requestDeserialize: input.decode,
  responseSerialize: output.encode,
  responseDeserialize: output.decode,
});

export const DEVICE_PLUGIN = {
  GetDevicePluginOptions: method('/v1beta1.DevicePlugin/GetDevicePluginOptions', EMPTY, OPTIONS),
  ListAndWatch: method('/v1beta1.DevicePlugin/ListAndWatch', EMPTY, DEVICES, true),
  GetPreferredAllocation: method('/v1beta1.DevicePlugin/GetPreferredAllocation', PREFERENCE_REQUEST, PREFERENCE),
  Allocate: method('/v1beta1.DevicePlugin/Allocate', ALLOCATE_REQUEST, ALLOCATED),
  PreStartContainer: method('/v1beta1.DevicePlugin/PreStartContainer', PRE_START, EMPTY),
};

/** Found by the kubelet in its folder of plugins. */
export const PLUGIN_REGISTRATION = {
  GetInfo: method('/pluginregistration.Registration/GetInfo', INFO_REQUEST, PLUGIN_INFO),
  NotifyRegistrationStatus: method(
    '/pluginregistration.Registration/NotifyRegistrationStatus',
    REGISTRATION_STATUS,
    NOTHING,
  ),
};

/** The older way: the kubelet's own. */
export const KUBELET_REGISTRATION = { Register: method('/v1beta1.Registration/Register', REGISTER, EMPTY) };
