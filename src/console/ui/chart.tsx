import { useEffect, useRef } from "preact/hooks";
import UPlot from "uplot";

interface Props {
  title: string;
  /** Times in milliseconds since the Unix epoch. */
  times: number[];
  values: (number | null)[];
  format: (value: number) => string;
  bars?: boolean;
}

const HEIGHT = 160;

/** Returns a colour of the page as a canvas understands it. */
function colorOf(element: HTMLElement, name: string): string {
  const { color } = element.style;
  element.style.color = `var(${name})`;
  const found = getComputedStyle(element).color;
  element.style.color = color;
  return found;
}

/** A chart of numbers over time. A screen reader gets the newest value. */
export function Chart({ title, times, values, format, bars = false }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<UPlot>(undefined);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the data follows below
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const color = colorOf(element, "--accent");
    const line = { stroke: colorOf(element, "--line"), width: 1 };
    const axis = { stroke: colorOf(element, "--soft"), grid: line, ticks: line };
    const made = new UPlot(
      {
        width: element.clientWidth,
        height: HEIGHT,
        cursor: { y: false },
        legend: { show: false },
        axes: [
          { ...axis, space: 80 },
          { ...axis, size: 64, values: (_plot, ticks) => ticks.map(format) },
        ],
        scales: { y: { range: (_plot, _low, high) => [0, Math.max(high, 1e-6) * 1.1] } },
        series: [
          {},
          {
            label: title,
            stroke: color,
            fill: color.replace(/^rgb\((.*)\)$/, "rgba($1, 0.15)"),
            width: 1.5,
            ...(bars && UPlot.paths.bars && { paths: UPlot.paths.bars({ size: [0.7, 40] }) }),
          },
        ],
      },
      [times.map((time) => time / 1000), values],
      element,
    );
    plot.current = made;
    const sizes = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }));
    sizes.observe(element);
    return () => {
      sizes.disconnect();
      made.destroy();
    };
  }, [title, bars]);
  useEffect(() => plot.current?.setData([times.map((time) => time / 1000), values]), [times, values]);
  const last = values.at(-1);
  return (
    <figure class="chart">
      <figcaption>
        {title} <span class="hint">{last == null ? "" : format(last)}</span>
      </figcaption>
      <div ref={box} style={{ height: `${HEIGHT}px` }} />
    </figure>
  );
}
