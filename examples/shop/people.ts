/** The only card numbers used: published test numbers of the card networks, which pass the Luhn check and belong to nobody. */
const CARDS = [
  '4111 1111 1111 1111',
  '4111111111111111',
  '4111-1111-1111-1111',
  '4012 8888 8888 1881',
  '5555 5555 5555 4444',
  '5105 1051 0510 5100',
  '3782 822463 10005',
  '6011 1111 1111 1117',
] as const;

const FIRST_NAMES =
  'Ada Alan Annie Barbara Carl Claude Dorothy Edsger Emmy Ernest Florence Grace Hedy Hugo Ida James Joan Karl Katherine Lise Louis Mae Margaret Maria Max Niels Otto Paul Rosa Sofia'.split(
    ' ',
  );
const LAST_NAMES =
  'Abel Bauer Castellanos Dubois Eriksen Fischer Garcia Haddad Ito Jansen Kowalski Laurent Moreau Novak Okafor Petrov Quist Rossi Silva Tanaka Ueda Virtanen Weber Xu Yilmaz'.split(
    ' ',
  );
const CITIES = [
  ['Amsterdam', 'NL'],
  ['Berlin', 'DE'],
  ['London', 'GB'],
  ['New York', 'US'],
  ['Boston', 'US'],
  ['Chicago', 'US'],
] as const;
const AREA_CODES = ['212', '312', '415', '503', '617', '702'];

/** A generator of numbers in [0, 1) that gives the same sequence for the same seed (mulberry32). */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export interface Customer {
  readonly name: string;
  readonly email: string;
  readonly phone: string;
  readonly card_number: string;
  readonly ssn: string;
  readonly iban: string;
  readonly city: string;
  readonly country: string;
}

/** One invented customer: every identifier has a valid form, none belongs to a person. */
export function inventCustomer(id: number, random: () => number): Customer {
  const first = pick(FIRST_NAMES, random);
  const last = pick(LAST_NAMES, random);
  const [city, country] = pick(CITIES, random);
  return {
    name: `${first} ${last}`,
    email: `${first}.${last}.${id}@example.com`.toLowerCase(),
    // 555-0100 to 555-0199 are set aside for fiction.
    phone: `+1 (${pick(AREA_CODES, random)}) 555-01${digits(2, random)}`,
    card_number: pick(CARDS, random),
    // Areas 773 to 899 were never given out while an area still meant a place.
    ssn: `${773 + Math.floor(random() * 127)}-${1 + Math.floor(random() * 9)}${digits(1, random)}-${1 + Math.floor(random() * 9)}${digits(3, random)}`,
    iban: inventIban(country, random),
    city,
    country,
  };
}

/** A bank that does not exist: code TEST in the Netherlands and Britain, all zeros in Germany. */
function inventIban(country: string, random: () => number): string {
  if (country === 'DE') return iban('DE', `00000000${digits(10, random)}`);
  if (country === 'GB') return iban('GB', `TEST000000${digits(8, random)}`);
  return iban('NL', `TEST0${digits(9, random)}`);
}

function iban(country: string, account: string): string {
  const numeric = `${account}${country}00`.replace(/[A-Z]/g, (letter) => String(letter.charCodeAt(0) - 55));
  const check = 98n - (BigInt(numeric) % 97n);
  return `${country}${String(check).padStart(2, '0')}${account}`;
}

/** One of `items`, which must not be empty. */
export function pick<T>(items: readonly T[], random: () => number): T {
  return items[Math.floor(random() * items.length)]!;
}

function digits(count: number, random: () => number): string {
  return Array.from({ length: count }, () => Math.floor(random() * 10)).join('');
}
