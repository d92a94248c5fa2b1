/** A timer that does not keep a Node process alive; in browsers any other. */
export function backgroundTimer(run: () => void, ms: number): ReturnType<typeof setTimeout> {
  const timer = setTimeout(run, ms);
  if (typeof timer === "object") timer.unref();
  return timer;
}

/** Sixteen random bytes in hexadecimal. `crypto.randomUUID` is missing on pages that were not served securely. */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
