import { BlockList, isIP, isIPv4 } from 'node:net';
import type { IncomingMessage } from 'node:http';

/** Finds the address a request came from: X-Forwarded-For counts only as far back as trusted proxies wrote it. */
export function createAddressOf(
  trustedProxies: readonly string[],
): (request: { readonly raw: IncomingMessage }) => string {
  const trusted = new BlockList();
  for (const network of trustedProxies) {
    const [address, bits] = network.split('/');
    const family = isIPv4(address!) ? 'ipv4' : 'ipv6';
    if (bits === undefined) trusted.addAddress(address!, family);
    else trusted.addSubnet(address!, Number(bits), family);
  }
  const isTrusted = (address: string): boolean =>
    isIP(address) !== 0 && trusted.check(address, isIPv4(address) ? 'ipv4' : 'ipv6');
  return ({ raw }) => {
    let address = plain(raw.socket.remoteAddress ?? 'unknown');
    if (trustedProxies.length === 0 || !isTrusted(address)) return address;
    const header = raw.headers['x-forwarded-for'];
    const hops = (typeof header === 'string' ? header : '').split(',').map((hop) => plain(hop.trim()));
    for (const hop of hops.reverse()) {
      if (isIP(hop) === 0) break;
      address = hop;
      if (!isTrusted(hop)) break;
    }
    return address;
  };
}

/** `::ffff:127.0.0.1` is 127.0.0.1. */
const plain = (address: string): string => (address.startsWith('::ffff:') ? address.slice(7) : address);
