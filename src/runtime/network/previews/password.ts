import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import { Semaphore } from "../../../base/semaphore.ts";

const SALT_BYTES = 16;
const HASH_BYTES = 32;

const derive = promisify<string, Buffer, number, Buffer>(scrypt);

/** Hashes of all VMs at the same time. Each takes 16 MiB, and one of the four threads that files need too. */
const slots = new Semaphore(2);

/** Hash of a password by scrypt, with Node's defaults: N = 16,384, r = 8, p = 1. Takes about 40 ms outside of the event loop. */
export interface PasswordHash {
  salt: string;
  hash: string;
}

export async function hashPassword(password: string, salt = randomBytes(SALT_BYTES)): Promise<PasswordHash> {
  const hash = await slots.run(() => derive(password.normalize("NFC"), salt, HASH_BYTES));
  return { salt: salt.toString("base64"), hash: hash.toString("base64") };
}

export async function isPassword(password: string, kept: PasswordHash): Promise<boolean> {
  const { hash } = await hashPassword(password, Buffer.from(kept.salt, "base64"));
  return timingSafeEqual(Buffer.from(hash), Buffer.from(kept.hash));
}
