/** The first MCP header that came more than once: readers disagree on which one counts. */
export function repeatedMcpHeader(rawHeaders: readonly string[]): string | undefined {
  return repeatedHeader(rawHeaders, (name) => name.startsWith('mcp-'));
}

/** The first header, in lower case, that came more than once among those that `counts` picks. */
export function repeatedHeader(rawHeaders: readonly string[], counts: (name: string) => boolean): string | undefined {
  const seen: string[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] as string).toLowerCase();
    if (!counts(name)) continue;
    if (seen.includes(name)) return name;
    seen.push(name);
  }
  return undefined;
}
