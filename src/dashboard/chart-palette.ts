/** The colours a canvas needs, as the style sheet has them in the theme of the moment. */
export interface ChartPalette {
  readonly line: string;
  readonly band: string;
  readonly axis: string;
  readonly grid: string;
  readonly critical: string;
  readonly warning: string;
  readonly info: string;
}

/** A custom property that says `light-dark(…)` is only resolved where it is used as a colour: on a probe. */
export function readPalette(host: HTMLElement): ChartPalette {
  const probe = document.createElement('span');
  probe.hidden = true;
  host.append(probe);
  const colour = (name: string): string => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const palette = {
    line: colour('chart-line'),
    band: colour('chart-band'),
    axis: colour('text-quiet'),
    grid: colour('chart-grid'),
    critical: colour('critical'),
    warning: colour('warning'),
    info: colour('info'),
  };
  probe.remove();
  return palette;
}
