import { MAX_REMEMBERED_NAMES } from "../limits.ts";

/** 198.18.0.0/15, which no host of the internet has (RFC 2544). */
const FIRST = 0xc612_0000;
const COUNT = 0x2_0000;

/** The resolver has the first address, the VM the second (see interceptor.pl), and names have those behind them. */
export const RESOLVER_ADDRESS = "198.18.0.1";
const FIRST_NAME = 3;

/** Prefix of the IPv6 addresses of names, in the range of private networks (RFC 4193). The rest is the IPv4 address. */
const IPV6_PREFIX = "fd61:6765:6e74:766d::";
const IPV6_PREFIX_BYTES = Buffer.from("fd6167656e74766d00000000", "hex");

/**
 * Addresses of a VM's own for the names that its programs ask for. A connection to such an address is one to its name, so
 * that the policy is by name whatever the program speaks. The name without use for the longest time is forgotten first.
 * An address is given to another name only after all others.
 */
export class OutboundNames {
  readonly #numbers = new Map<string, number>();
  readonly #names = new Map<number, string>();
  #next = FIRST_NAME;

  /** Returns the address of a name in 4 or 16 bytes. */
  addressOf(name: string, family: 4 | 6): Buffer {
    const number = this.#numbers.get(name) ?? this.#free();
    this.#use(name, number);
    const ipv4 = Buffer.alloc(4);
    ipv4.writeUInt32BE(FIRST + number);
    return family === 4 ? ipv4 : Buffer.concat([IPV6_PREFIX_BYTES, ipv4]);
  }

  /** @returns the name of a canonical address; `null` for an address of the range without a name; `undefined` for others */
  nameOf(address: string): string | null | undefined {
    const number = numberOf(address);
    if (number === undefined) return undefined;
    const name = this.#names.get(number);
    if (name !== undefined) this.#use(name, number);
    return name ?? null;
  }

  #use(name: string, number: number): void {
    this.#numbers.delete(name);
    this.#numbers.set(name, number);
    this.#names.set(number, name);
    if (this.#numbers.size <= MAX_REMEMBERED_NAMES) return;
    const [oldest] = this.#numbers;
    if (oldest === undefined) return;
    this.#numbers.delete(oldest[0]);
    this.#names.delete(oldest[1]);
  }

  #free(): number {
    while (this.#names.has(this.#next)) this.#advance();
    const number = this.#next;
    this.#advance();
    return number;
  }

  #advance(): void {
    this.#next = this.#next + 1 < COUNT ? this.#next + 1 : FIRST_NAME;
  }
}

function numberOf(address: string): number | undefined {
  const bytes = address.startsWith(IPV6_PREFIX)
    ? address
        .slice(IPV6_PREFIX.length)
        .split(":")
        .flatMap((word) => [Number.parseInt(word, 16) >> 8, Number.parseInt(word, 16) & 0xff])
    : address.split(".").map(Number);
  if (bytes.length !== 4) return undefined;
  const number = Buffer.from(bytes).readUInt32BE() - FIRST;
  return number >= 0 && number < COUNT ? number : undefined;
}
