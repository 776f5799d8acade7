/** The parts of oidc-provider that tests/oidc.ts uses; the package ships no types. */
declare module 'oidc-provider' {
  import type { IncomingMessage, ServerResponse } from 'node:http';

  interface Issued {
    save(): Promise<string>;
  }
  export default class Provider {
    constructor(issuer: string, configuration: Record<string, unknown>);
    callback(): (request: IncomingMessage, response: ServerResponse) => void;
    readonly Client: { find(id: string): Promise<object | undefined> };
    readonly AccessToken: new (parts: Record<string, unknown>) => Issued;
    readonly ResourceServer: new (identifier: string, info: Record<string, unknown>) => object;
    readonly IdToken: new (
      claims: Record<string, unknown>,
      context: { client: object },
    ) => {
      scope?: string;
      set(name: string, value: unknown): void;
      issue(options: { use: 'idtoken' }): Promise<string>;
    };
  }
}
