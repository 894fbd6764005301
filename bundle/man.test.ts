import { describe, expect, it } from 'vitest';
import { pageOfCommands, pageOfDevices, pageOfPlugin } from './man.ts';

describe('pageOfPlugin', () => {
  const plugin = { name: 'host-net', about: 'host-net: gives a pod what it wants' };
  const page = pageOfPlugin(
    {
      plugin,
      options: [
        { key: 'ipam.type', type: 'string', fallback: '`none`', about: ".hidden, or a `back\\slash`; it's kept" },
        { key: 'mtu', type: 'whole number', fallback: '', about: "'quoted' from the first letter" },
      ],
      example: '{\n  "name": "a-b"\n}\n',
    },
    '1.2.3',
  );

  it('has a heading, a name, and what the plugin says of itself', () => {
    expect(page).toMatch(/^\.TH BRAID\\-HOST\\-NET 8 "" "Braid 1\.2\.3" "Braid"\n\.SH NAME\n/);
    expect(page).toContain('\nbraid\\-host\\-net \\- gives a pod what it wants\n');
  });

  it('has every key, with what roff would take for commands escaped', () => {
    expect(page).toContain(
      ".TP\n\\fBipam.type\\fR (string; default \\fBnone\\fR)\n\\&.hidden, or a \\fBback\\eslash\\fR; it's kept\n",
    );
    expect(page).toContain(".TP\n\\fBmtu\\fR (whole number)\n\\&'quoted' from the first letter\n");
  });

  it('has the example as it stands', () => {
    expect(page).toContain('.EX\n{\n  "name": "a\\-b"\n}\n.EE\n');
  });
});

describe('pageOfCommands', () => {
  it('has every command with its options, and the plugins to see', () => {
    const list = { name: 'list', usage: 'braid list', about: 'list all', run: async () => 0 };
    const page = pageOfCommands([{ ...list, options: [['--json', 'print JSON']] }], ['macvlan', 'rdma'], '1.2.3');
    expect(page).toContain('.SS braid list\nlist all\n.TP\n\\fB\\-\\-json\\fR\nprint JSON\n');
    expect(page).toContain(
      '.SH SEE ALSO\n\\fBbraid\\-macvlan\\fR(8),\n\\fBbraid\\-rdma\\fR(8),\n\\fBbraid\\-device\\-plugins\\fR(8)\n',
    );
  });
});

describe('pageOfDevices', () => {
  it('has each configuration with its keys, and an example', () => {
    const options = [{ key: 'list[].a', type: 'string', fallback: '', about: 'what it is' }];
    const page = pageOfDevices({ configurations: [{ title: 'SR-IOV', options }], example: '{}\n' }, '1.2.3');
    expect(page).toContain('.SH SR\\-IOV\n.TP\n\\fBlist[].a\\fR (string)\nwhat it is\n.SH EXAMPLE\n.EX\n{}\n.EE\n');
  });
});
