import Sqlite from 'better-sqlite3';
import { createRandom, inventCustomer, pick } from './people.ts';

const CUSTOMERS = 200;
const PRODUCTS = 50;
const ORDERS = 500;
const MAX_ROWS = 1000;
const SEED = 20260728;

export const DDL = `CREATE TABLE customers (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  email TEXT NOT NULL UNIQUE,
  phone TEXT NOT NULL,
  card_number TEXT NOT NULL,
  ssn TEXT NOT NULL,
  iban TEXT NOT NULL,
  city TEXT NOT NULL,
  country TEXT NOT NULL
);
CREATE TABLE products (
  id INTEGER PRIMARY KEY,
  sku TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  price_cents INTEGER NOT NULL,
  stock INTEGER NOT NULL
);
CREATE TABLE orders (
  id INTEGER PRIMARY KEY,
  customer_id INTEGER NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
  product_id INTEGER NOT NULL REFERENCES products (id),
  quantity INTEGER NOT NULL,
  total_cents INTEGER NOT NULL,
  status TEXT NOT NULL,
  note TEXT,
  ordered_on TEXT NOT NULL
);
CREATE INDEX orders_customer ON orders (customer_id);
`;

export type Row = Readonly<Record<string, string | number | null>>;
export interface Column {
  readonly name: string;
  readonly type: string;
  readonly nullable: boolean;
  readonly primary_key: boolean;
}
export interface Rows {
  readonly rows: readonly Row[];
  /** True when more rows were there than a result may carry. */
  readonly truncated: boolean;
}

export interface Database {
  /** Runs one statement that cannot change anything; throws for any other. */
  query(sql: string): Rows;
  /** Runs one statement on the data or its tables; transactions, attached files and pragmas are refused. */
  execute(sql: string): Rows & { readonly changes: number };
  tables(): readonly string[];
  columns(table: string): readonly Column[];
  customer(id: number): Row | undefined;
  customers(): readonly Row[];
  close(): void;
}

/** Opens the shop's data and generates it when the file is new; without a path it lives in memory. The same every time. */
export function openDatabase(path = ':memory:'): Database {
  const sqlite = new Sqlite(path);
  sqlite.pragma('foreign_keys = ON');
  if (sqlite.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'customers'").get() === undefined) generate(sqlite);

  return {
    query(sql) {
      const statement = sqlite.prepare(sql);
      if (!statement.readonly || !statement.reader || !/^(?:select|with|values)\b/.test(opening(sql))) {
        throw new Error('query takes a single SELECT or WITH statement that changes nothing');
      }
      return read(statement);
    },
    execute(sql) {
      const verb = opening(sql);
      if (!/^(?:select|with|values|insert|replace|update|delete|create|alter|drop)\b/.test(verb)) {
        throw new Error('execute_sql takes a single statement on the data or its tables');
      }
      const statement = sqlite.prepare(sql);
      if (!statement.reader) return { rows: [], truncated: false, changes: statement.run().changes };
      const before = totalChanges(sqlite);
      return { ...read(statement), changes: totalChanges(sqlite) - before };
    },
    tables() {
      return sqlite
        .prepare(
          "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' ORDER BY name",
        )
        .pluck()
        .all() as string[];
    },
    columns(table) {
      const columns = sqlite
        .prepare('SELECT name, type, "notnull" AS required, pk FROM pragma_table_info(?)')
        .all(table) as { name: string; type: string; required: number; pk: number }[];
      return columns.map(({ name, type, required, pk }) => ({
        name,
        type,
        nullable: required === 0 && pk === 0,
        primary_key: pk > 0,
      }));
    },
    customer(id) {
      return sqlite.prepare('SELECT * FROM customers WHERE id = ?').get(id) as Row | undefined;
    },
    customers() {
      return sqlite
        .prepare(
          `SELECT c.name, c.email, count(o.id) AS orders, coalesce(sum(o.total_cents), 0) AS total_cents
           FROM customers c LEFT JOIN orders o ON o.customer_id = c.id GROUP BY c.id ORDER BY c.id`,
        )
        .all() as Row[];
    },
    close() {
      sqlite.close();
    },
  };
}

/** The statement's first words in lower case, comments removed, so that no comment hides the verb. */
function opening(sql: string): string {
  return sql
    .replace(/^(?:\s+|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/|;)+/, '')
    .slice(0, 20)
    .toLowerCase();
}

/** Reads to the end, so that a RETURNING clause finishes its work, and keeps the first rows. */
function read(statement: Sqlite.Statement): Rows {
  const rows: Row[] = [];
  let truncated = false;
  for (const row of statement.safeIntegers(true).iterate() as IterableIterator<Record<string, unknown>>) {
    if (rows.length < MAX_ROWS) rows.push(plain(row));
    else truncated = true;
    if (truncated && statement.readonly) break;
  }
  return { rows, truncated };
}

/** Integers beyond what a JSON reader keeps exact become strings, blobs become base64. */
function plain(row: Record<string, unknown>): Row {
  const copy: Record<string, string | number | null> = {};
  for (const [name, value] of Object.entries(row)) {
    if (typeof value === 'bigint') copy[name] = Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
    else if (value instanceof Uint8Array) copy[name] = Buffer.from(value).toString('base64');
    else copy[name] = value as string | number | null;
  }
  return copy;
}

function totalChanges(sqlite: Sqlite.Database): number {
  return sqlite.prepare('SELECT total_changes()').pluck().get() as number;
}

function generate(sqlite: Sqlite.Database): void {
  const random = createRandom(SEED);
  const between = (low: number, high: number): number => low + Math.floor(random() * (high - low + 1));
  sqlite.transaction(() => {
    sqlite.exec(DDL);
    const customer = sqlite.prepare(
      'INSERT INTO customers VALUES (:id, :name, :email, :phone, :card_number, :ssn, :iban, :city, :country)',
    );
    const emails: string[] = [];
    for (let id = 1; id <= CUSTOMERS; id += 1) {
      const invented = inventCustomer(id, random);
      emails.push(invented.email);
      customer.run({ id, ...invented });
    }

    const product = sqlite.prepare('INSERT INTO products VALUES (?, ?, ?, ?, ?)');
    const prices: number[] = [];
    for (let id = 1; id <= PRODUCTS; id += 1) {
      const price = between(3, 400) * 100 - 1;
      prices.push(price);
      const name = `${pick(['Oak', 'Steel', 'Linen', 'Glass', 'Cork'], random)} ${pick(['lamp', 'table', 'chair', 'shelf', 'mug'], random)} ${id}`;
      product.run(id, `SKU-${String(id).padStart(4, '0')}`, name, price, between(0, 250));
    }

    const order = sqlite.prepare('INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?)');
    for (let id = 1; id <= ORDERS; id += 1) {
      const buyer = between(1, CUSTOMERS);
      const item = between(1, PRODUCTS);
      const quantity = between(1, 5);
      const note = id % 10 === 0 ? `send the invoice to ${emails[buyer - 1]}` : null;
      const day = `2026-${String(between(1, 6)).padStart(2, '0')}-${String(between(1, 28)).padStart(2, '0')}`;
      const status = pick(['paid', 'shipped', 'delivered', 'refunded'], random);
      order.run(id, buyer, item, quantity, quantity * prices[item - 1]!, status, note, day);
    }
  })();
}
