import { BlockList, isIP } from 'node:net';

const RESERVED: readonly (readonly [network: string, prefix: number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
  ['::', 96],
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
  ['100::', 64],
  ['2002::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
];

/** A test for addresses of the public internet: not private, loopback, link-local, metadata, multicast, nor a way to write one. */
export function publicAddresses(): (address: string) => boolean {
  const reserved = new BlockList();
  for (const [network, prefix] of RESERVED)
    reserved.addSubnet(network, prefix, network.includes(':') ? 'ipv6' : 'ipv4');
  return (address) => {
    const version = isIP(address);
    // A mapped address (::ffff:10.0.0.1) is matched by the IPv4 networks.
    return version !== 0 && !reserved.check(address, version === 6 ? 'ipv6' : 'ipv4');
  };
}

/** Whether a URL's hostname names this machine. */
export function isLoopbackHost(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname);
}
