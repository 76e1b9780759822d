// Turns the report of a study into a table for people and one object of JSON for programs.
import { barText } from './bars.ts';
import { machine, machineLines } from './machine.ts';
import type { Column, Row, Study, StudyReport, Values } from './study.ts';
import { fixed, layOut } from './table.ts';

/** The whole run as one object; times and sizes carry their units in their names. */
export function studyToJson(study: Study, values: Values, command: string, report: StudyReport): unknown {
  const { load, rows, bars, notes, faults } = report;
  const settings = Object.fromEntries([...values].map(([name, all]) => [name, all.length === 1 ? all[0] : all]));
  return { scenario: study.name, command, ...machine(), settings, load, rows, bars, notes, faults };
}

/** The whole run as text: what the load was, the table, the bars, what else is to be known. */
export function studyToText(study: Study, command: string, report: StudyReport): string {
  const { columns, rows } = report;
  const leftColumns = columns.findIndex(({ digits }) => digits !== undefined);
  const cells = rows.map((row) => columns.map((column) => cell(column, row)));
  return [
    `${study.name}: ${study.summary}`,
    `command: ${command}`,
    ...report.load,
    ...machineLines(),
    '',
    ...layOut([columns.map(({ title }) => title), ...cells], leftColumns < 0 ? columns.length : leftColumns),
    '',
    ...report.bars.map(barText),
    ...report.notes,
    ...report.faults.map((fault) => `FAULT: ${fault}`),
  ].join('\n');
}

function cell({ key, digits }: Column, row: Row): string {
  const value = row[key];
  return typeof value === 'number' ? fixed(value, digits ?? 0) : (value ?? '');
}
