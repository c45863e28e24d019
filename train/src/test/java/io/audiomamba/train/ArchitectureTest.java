package io.audiomamba.train;

import static com.tngtech.archunit.library.Architectures.layeredArchitecture;

import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import org.junit.jupiter.api.Test;

/** The arrows between the rooms of this module: they point downward only. */
class ArchitectureTest {

    @Test
    void arrowsPointDownward() {
        layeredArchitecture().consideringOnlyDependenciesInLayers().layer("train").definedBy("io.audiomamba.train..")
                .layer("evaluation").definedBy("io.audiomamba.evaluation..").layer("data")
                .definedBy("io.audiomamba.data..").whereLayer("train").mayNotBeAccessedByAnyLayer()
                .whereLayer("evaluation").mayOnlyBeAccessedByLayers("train").whereLayer("data")
                .mayOnlyBeAccessedByLayers("train", "evaluation")
                .check(new ClassFileImporter().withImportOption(new ImportOption.DoNotIncludeTests())
                        .importPackages("io.audiomamba.train", "io.audiomamba.evaluation", "io.audiomamba.data"));
    }
}
