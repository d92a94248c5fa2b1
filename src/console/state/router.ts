import { useEffect, useState } from "preact/hooks";
import { decoded } from "../../base/decoded.ts";

/** Tabs of a machine's page. */
const TABS = [
  "overview",
  "terminal",
  "files",
  "processes",
  "sessions",
  "network",
  "cron",
  "snapshots",
  "log",
  "methods",
] as const;
export type Tab = (typeof TABS)[number];

/** A place in the console. It is the fragment of the address, which no request carries. */
export type Place = { page: "machines" } | { page: "machine"; name: string; key: string[]; tab: Tab };

export function hrefOf(place: Place): string {
  if (place.page === "machines") return "#/";
  const parts = [place.name, place.tab, ...place.key].map(encodeURIComponent);
  return `#/vm/${parts.join("/")}`;
}

export function goTo(place: Place): void {
  location.hash = hrefOf(place);
}

function placeOf(hash: string): Place {
  const parts = hash.replace(/^#\/?/, "").split("/");
  const [first, name, tab, ...key] = parts.map((part) => decoded(part) ?? part);
  if (first !== "vm" || name === undefined || key.length === 0) return { page: "machines" };
  return { page: "machine", name, key, tab: TABS.find((known) => known === tab) ?? "overview" };
}

export function usePlace(): Place {
  const [place, setPlace] = useState(() => placeOf(location.hash));
  useEffect(() => {
    const onChange = () => setPlace(placeOf(location.hash));
    addEventListener("hashchange", onChange);
    return () => removeEventListener("hashchange", onChange);
  }, []);
  return place;
}
