import { describe, expect, it } from 'vitest';
import { readConf } from '../../lib/cni/config.ts';
import type { JsonObject } from '../../lib/cni/json.ts';
import { RuntimeConfigConf } from './config.ts';
import { interfaceNames } from './names.ts';
import { capabilityArgs, delegateArgs, NO_POD, podOf } from './runtime-args.ts';

const ARGS = 'IgnoreUnknown=1;K8S_POD_NAMESPACE=demo;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=C1;K8S_POD_UID=U1';

const text = (pairs: readonly (readonly [string, string])[]): string => pairs.map((pair) => pair.join('=')).join(';');

const supplied = (document: JsonObject): RuntimeConfigConf => readConf(RuntimeConfigConf, document, 'runtimeConfig');

describe('delegateArgs', () => {
  it('names the pod and then repeats everything, so that each key is there twice', () => {
    expect(text(delegateArgs(podOf(ARGS), ARGS, {}))).toBe(
      'IgnoreUnknown=true;K8S_POD_NAMESPACE=demo;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=C1;K8S_POD_UID=U1;IgnoreUnknown=1;K8S_POD_NAMESPACE=demo;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=C1;K8S_POD_UID=U1',
    );
  });

  it('adds the address that the pod asked for', () => {
    const pairs = delegateArgs(podOf(ARGS), '', { mac: '02:00:00:00:00:09', ips: ['192.168.7.9/24', 'fd00::9/64'] });
    expect(text(pairs)).toBe(
      'IgnoreUnknown=true;K8S_POD_NAMESPACE=demo;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=C1;K8S_POD_UID=U1;MAC=02:00:00:00:00:09;IP=192.168.7.9/24,fd00::9/64',
    );
  });

  it('keeps empty values, and fills them rather than repeating the key', () => {
    expect(text(delegateArgs(NO_POD, 'K8S_POD_NAME=web;X=a=b;K8S_POD_NAME=db;odd', {}))).toBe(
      'IgnoreUnknown=true;K8S_POD_NAMESPACE=;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=;K8S_POD_UID=;X=a=b;K8S_POD_NAME=db',
    );
  });
});

describe('podOf', () => {
  it('reads what the runtime says of the pod', () => {
    expect(podOf(ARGS)).toEqual({ namespace: 'demo', name: 'web', infraContainerId: 'C1', uid: 'U1' });
    expect(podOf('IP=10.0.0.1')).toEqual(NO_POD);
  });

  it.each([
    'K8S_POD_NAME',
    'K8S_POD_NAME=a=b',
    'K8S_POD_NAME=a/b',
    'K8S_POD_NAMESPACE=..//',
    'COLOR=red',
    'IgnoreUnknown=0;COLOR=red',
    'MAC=02:00:00:00:00:01',
  ])('refuses %j', (args) => {
    expect(() => podOf(args)).toThrow(expect.objectContaining({ code: 4 }));
  });
});

describe('capabilityArgs', () => {
  const everything = {
    portMappings: [{ HostPort: 8080, ContainerPort: 80, Protocol: 'tcp', HostIP: '' }],
    bandwidth: { ingressRate: 5_000_000_000, egressBurst: 7 },
    ips: ['10.0.0.7'],
    mac: '02:00:00:00:00:01',
    infinibandGUID: 'c2:11:22:33:44:55:66:77',
    deviceID: '0000:03:00.1',
    CNIDeviceInfoFile: '/run/info',
    dns: { servers: ['1.1.1.1'] },
  };

  it('hands on seven capabilities and no other, in the keys of the specification', () => {
    expect(JSON.stringify(capabilityArgs(supplied(everything), {}, true))).toBe(
      '{"CNIDeviceInfoFile":"/run/info","bandwidth":{"ingressRate":5000000000,"ingressBurst":0,"egressRate":0,"egressBurst":7},"deviceID":"0000:03:00.1","infinibandGUID":"c2:11:22:33:44:55:66:77","ips":["10.0.0.7"],"mac":"02:00:00:00:00:01","portMappings":[{"hostPort":8080,"containerPort":80,"protocol":"tcp"}]}',
    );
  });

  it('leaves out what is empty', () => {
    expect(capabilityArgs(supplied({ portMappings: [], ips: null, mac: '' }), {}, true)).toEqual({});
    expect(capabilityArgs(undefined, {}, true)).toEqual({});
  });

  it('prefers what the pod asked for, but not for its own network', () => {
    const asked = { mac: '02:00:00:00:00:09', ips: ['192.168.7.9/24'], infinibandGuid: 'g', deviceId: 'd' };
    expect(capabilityArgs(supplied(everything), asked, false)).toMatchObject({
      mac: '02:00:00:00:00:09',
      ips: ['192.168.7.9/24'],
      infinibandGUID: 'g',
      deviceID: 'd',
      CNIDeviceInfoFile: '/run/info',
    });
    expect(capabilityArgs(supplied(everything), asked, true)).toMatchObject({ mac: '02:00:00:00:00:01' });
  });
});

describe('interfaceNames', () => {
  it('counts every network, the first takes CNI_IFNAME', () => {
    expect(interfaceNames([undefined, undefined, 'lan0', ''], 'eth0')).toEqual(['eth0', 'net1', 'lan0', 'net3']);
    expect(interfaceNames(['own', undefined], 'eth0')).toEqual(['own', 'net1']);
  });
});
