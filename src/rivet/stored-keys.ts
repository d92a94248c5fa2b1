/** Byte before each key of an actor's own values. Other bytes are before RivetKit's own keys. */
const OWN_VALUES = 4;

/**
 * Returns the key under which the storage has an actor's own value.
 *
 * For RivetKit 2.2, whose engine returns a value by this key and wakes no actor.
 *
 * @param key of the value in the actor's `kv`
 */
export function storedKey(key: string): Buffer {
  return Buffer.concat([Buffer.of(OWN_VALUES), Buffer.from(key)]);
}
