#include <stdio.h>
#include <string.h>

#include "cli/client.h"

#define COLUMNS_MAX 16
#define NUMBER_TEXT_SIZE 32

typedef struct cell_text {
    char number[NUMBER_TEXT_SIZE];
    const char *text; /* points into the JSON, to a literal, or to `number` */
} cell_text;

static void make_cell(const json_t *row, const char *member, cell_text *cell)
{
    const json_t *value = json_object_get(row, member);
    cell->text = "";
    if (json_is_string(value)) cell->text = json_string_value(value);
    if (json_is_boolean(value)) cell->text = json_is_true(value) ? "yes" : "no";
    if (json_is_integer(value)) {
        (void)snprintf(cell->number, sizeof cell->number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        cell->text = cell->number;
    }
    if (json_is_real(value)) {
        (void)snprintf(cell->number, sizeof cell->number, "%.1f", json_real_value(value));
        cell->text = cell->number;
    }
}

/* Characters of UTF-8 text, as far as a terminal's columns are concerned. */
static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text != '\0'; text++)
        if (((unsigned char)*text & 0xC0) != 0x80) width++;
    return width;
}

static void print_padded(const char *text, size_t width, bool last)
{
    (void)fputs(text, stdout);
    if (last) return;
    for (size_t i = width_of(text); i < width + 2; i++)
        (void)putchar(' ');
}

void kf_cli_print_table(const json_t *rows, const char *const *columns)
{
    size_t widths[COLUMNS_MAX] = {0};
    size_t count = 0;
    size_t index;
    const json_t *row;
    cell_text cell;
    for (; count < COLUMNS_MAX && columns[count] != NULL; count++) {
        widths[count] = width_of(columns[count]);
        json_array_foreach(rows, index, row)
        {
            make_cell(row, columns[count], &cell);
            size_t width = width_of(cell.text);
            if (width > widths[count]) widths[count] = width;
        }
    }
    for (size_t i = 0; i < count; i++)
        print_padded(columns[i], widths[i], i + 1 == count);
    (void)putchar('\n');
    json_array_foreach(rows, index, row)
    {
        for (size_t i = 0; i < count; i++) {
            make_cell(row, columns[i], &cell);
            print_padded(cell.text, widths[i], i + 1 == count);
        }
        (void)putchar('\n');
    }
}
