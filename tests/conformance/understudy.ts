/**
 * A client that says nothing: `understudy.ts <where> <url>`. It reports the URL of the suite's server, which thereby stays up until the report is
 * answered.
 */
const [where, url] = process.argv.slice(-2);
await fetch(where!, { method: 'POST', body: url! });
