package io.audiomamba;

import static com.tngtech.archunit.library.Architectures.layeredArchitecture;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.lang.syntax.ArchRuleDefinition;
import org.junit.jupiter.api.Test;

/** The arrows of ARCHITECTURE.md: they point downward only. */
class ArchitectureTest {

    private static final JavaClasses CLASSES = new ClassFileImporter()
            .withImportOption(new ImportOption.DoNotIncludeTests()).importPackages("io.audiomamba");

    @Test
    void arrowsPointDownward() {
        layeredArchitecture().consideringOnlyDependenciesInLayers().layer("api").definedBy("io.audiomamba")
                .layer("diagnosis").definedBy("..diagnosis..").layer("golden").definedBy("..golden..")
                .layer("checkpoint").definedBy("..checkpoint..").layer("model").definedBy("..model..")
                .layer("frontend").definedBy("..frontend..").layer("scan").definedBy("..scan..").layer("fused")
                .definedBy("..fused..").layer("audio")
                .definedBy("..audio..").layer("torch").definedBy("..torch..").layer("error").definedBy("..error..")
                .layer("labels").definedBy("..labels..").layer("exchange").definedBy("..exchange..")
                .layer("registry").definedBy("..registry..").layer("file").definedBy("..file..")
                .whereLayer("file").mayOnlyBeAccessedByLayers("checkpoint", "exchange", "registry", "torch")
                .whereLayer("torch")
                .mayOnlyBeAccessedByLayers("api", "golden", "diagnosis", "checkpoint", "exchange", "model", "frontend",
                        "scan", "fused", "audio")
                .whereLayer("registry")
                .mayOnlyBeAccessedByLayers("api")
                .whereLayer("labels").mayOnlyBeAccessedByLayers("api", "exchange", "registry")
                .whereLayer("exchange").mayOnlyBeAccessedByLayers("api", "golden", "registry")
                .whereLayer("api").mayNotBeAccessedByAnyLayer().whereLayer("diagnosis").mayNotBeAccessedByAnyLayer()
                .whereLayer("golden").mayNotBeAccessedByAnyLayer().whereLayer("checkpoint")
                .mayOnlyBeAccessedByLayers("api", "golden", "exchange", "registry").whereLayer("model")
                .mayOnlyBeAccessedByLayers("api", "golden", "diagnosis", "checkpoint", "exchange", "registry")
                .whereLayer("frontend")
                .mayOnlyBeAccessedByLayers("api", "golden", "checkpoint").whereLayer("scan")
                .mayOnlyBeAccessedByLayers("api", "golden", "diagnosis", "model").whereLayer("fused")
                .mayOnlyBeAccessedByLayers("model").whereLayer("audio")
                .mayOnlyBeAccessedByLayers("api").whereLayer("error")
                .mayOnlyBeAccessedByLayers("api", "golden", "diagnosis", "checkpoint", "model", "frontend", "scan",
                        "audio", "torch", "labels", "exchange", "registry", "file")
                .check(CLASSES);
    }

    @Test
    void noCycles() {
        slices().matching("io.audiomamba.(*)..").should().beFreeOfCycles().check(CLASSES);
    }

    /** Tensors do not leak into the API that most users see. */
    @Test
    void noTensorsInTheApi() {
        ArchRuleDefinition.noMethods().that().arePublic().and().areDeclaredInClassesThat()
                .resideInAPackage("io.audiomamba").should()
                .haveRawReturnType(org.bytedeco.pytorch.Tensor.class).orShould()
                .haveRawParameterTypes(org.bytedeco.pytorch.Tensor.class).check(CLASSES);
    }

    /** Only the room that decodes sound knows FFmpeg. */
    @Test
    void ffmpegIsKnownInOneRoom() {
        ArchRuleDefinition.noClasses().that().resideOutsideOfPackages("io.audiomamba.audio", "io.audiomamba.torch")
                .should().dependOnClassesThat().resideInAPackage("org.bytedeco.ffmpeg..").check(CLASSES);
    }
}
