package io.audiomamba.data;

import io.audiomamba.error.ConfigurationException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.MappingIterator;
import tools.jackson.dataformat.csv.CsvMapper;
import tools.jackson.dataformat.csv.CsvSchema;

/** A CSV file whose first line names its columns. */
final class CsvTable {

    private static final CsvMapper CSV = new CsvMapper();

    private CsvTable() {}

    /**
     * The rows, by column.
     *
     * @throws ConfigurationException if it cannot be read or lacks a column
     */
    static List<Map<String, String>> read(Path file, String... columns) {
        CsvSchema schema = CsvSchema.emptySchema().withHeader();
        try (MappingIterator<Map<String, String>> rows = CSV.readerForMapOf(String.class).with(schema)
                .readValues(file.toFile())) {
            List<Map<String, String>> all = rows.readAll();
            for (Map<String, String> row : all) {
                Arrays.stream(columns).filter(column -> row.get(column) == null).findFirst().ifPresent(column -> {
                    throw new ConfigurationException(
                            file + ": a row has no '" + column + "'; the columns must be named "
                                    + String.join(", ", columns) + ".");
                });
            }
            return all;
        } catch (JacksonException e) {
            throw new ConfigurationException(file + ": is not a CSV file: " + e.getOriginalMessage() + ".", e);
        }
    }
}
