/** Whoever acted, as stored beside an act: no claims, no token. */
export interface Actor {
  readonly issuer: string;
  readonly subject: string;
  readonly email?: string;
  readonly address?: string;
}
