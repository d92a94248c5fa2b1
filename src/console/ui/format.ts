/** Returns an amount of bytes for people: `1.5 MB`. */
export function bytes(amount: number | null | undefined): string {
  if (amount === null || amount === undefined) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = amount;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value >= 100 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** Returns how long ago a time was: `3 min ago`. */
export function ago(time: number | null | undefined, now = Date.now()): string {
  if (time === null || time === undefined) return "never";
  const seconds = Math.round((now - time) / 1000);
  return seconds < 0 ? `in ${span(-seconds)}` : seconds < 5 ? "now" : `${span(seconds)} ago`;
}

/** Returns a time in seconds for people. */
export function span(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129_600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

export function percent(part: number): string {
  return `${part < 0.0995 ? (part * 100).toFixed(1) : Math.round(part * 100)} %`;
}

export function clock(time: number): string {
  return new Date(time).toLocaleTimeString(undefined, { hour12: false });
}

export function dateTime(time: number): string {
  return new Date(time).toLocaleString(undefined, { hour12: false });
}

/** Name of a machine as people read it. */
export function keyText(key: readonly string[]): string {
  return key.join(" / ") || "(empty key)";
}
